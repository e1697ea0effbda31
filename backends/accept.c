/* SPDX-License-Identifier: MIT */
#include "accept.h"

#include <errno.h>
#include <sys/socket.h>

bool lb_accept_is_transient(int error)
{
    switch (error) {
    case -EINTR:
    case -ECONNABORTED:
    case -ENETDOWN:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -EOPNOTSUPP:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

unsigned lb_accept_batch(const struct lb_backend_config *config, size_t listener,
                         struct lb_event *events, unsigned max)
{
    unsigned count = 0;

    while (count < max) {
        int fd = accept4(config->listeners[listener], NULL, NULL, SOCK_CLOEXEC);
        int error = -errno;

        if (fd >= 0) {
            events[count++] = (struct lb_event){
                .type = LB_EVENT_ACCEPTED, .listener = (unsigned)listener, .fd = fd};
        } else if (error == -EAGAIN) {
            break;
        } else if (!lb_accept_is_transient(error)) {
            events[count++] = (struct lb_event){.type = LB_EVENT_ACCEPT_FAILED, .error = error};
            break;
        }
    }
    return count;
}
