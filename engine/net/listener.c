/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include "address.h"
#include "error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Adds a listener with place for count descriptors, none open yet. */
static struct lb_listener *add_listener(struct lb_listener_list *list, unsigned count)
{
    struct lb_listener *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    struct lb_listener *listener;

    if (!items)
        return NULL;
    list->items = items;
    listener = &items[list->count];
    *listener =
        (struct lb_listener){.fds = malloc(count * sizeof(int)), .count = count, .owner = getpid()};
    if (!listener->fds)
        return NULL;
    for (unsigned i = 0; i < count; i++)
        listener->fds[i] = -1;
    list->count++;
    return listener;
}

static int start(int fd, const struct lb_listener_options *options)
{
    int backlog = options->backlog > 0 ? options->backlog : INT32_MAX; /* the kernel clamps it */

    return listen(fd, backlog) < 0 ? -errno : 0;
}

/* Every accepted socket inherits this, so that it costs no call of its own: after half the time
 * without a sign of life the kernel asks the peer's for one, and after all of it the peer is gone,
 * whether it owes us an answer to that or the acknowledgement of what we sent (tcp(7)). */
static int keep_alive(int fd, unsigned keepalive_ms)
{
    int seconds = (int)((keepalive_ms + 999) / 1000);
    int idle = seconds / 2 > 0 ? seconds / 2 : 1;
    int interval = seconds / 8 > 0 ? seconds / 8 : 1;
    int rc = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

    if (rc == 0)
        rc = set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    if (rc == 0)
        rc = set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    if (rc == 0)
        rc = set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)keepalive_ms);
    return rc;
}

/* The kernel closes the connections of a process that dies: with a linger time of 0 that is a
 * reset, so that no sender takes it for a server that has it all. wire.c undoes it once a stream's
 * end is decided. Every accepted socket inherits it, but a borrowed listener is left as it is: who
 * else accepts from it, now or after us, would reset its peers without knowing. */
static int reset_by_death(int fd)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) < 0 ? -errno : 0;
}

/* Inherited as well: urgent bytes stay in the stream where they were sent (tcp(7)). */
static int mark(int fd)
{
    int rc = reset_by_death(fd);

    return rc < 0 ? rc : set_int(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

/* Backends that complete take O_NONBLOCK for a wish not to wait: it would be asked again and again.
 */
static int let_block(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

int lb_listener_adopt(int fd, unsigned keepalive_ms)
{
    socklen_t size = sizeof(int);
    int domain = AF_UNSPEC, rc = let_block(fd);

    if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        rc = -errno;
    if (rc < 0 || domain == AF_UNIX)
        return rc;
    rc = mark(fd);
    return rc == 0 && keepalive_ms ? keep_alive(fd, keepalive_ms) : rc;
}

/* How a TCP socket is bound. */
struct binding {
    struct sockaddr_storage address;
    socklen_t size;
    bool both_families; /* the IPv6 wildcard serves IPv4 as well */
    bool join;          /* one more socket for an address that is ours already */
};

static int bind_tcp(int *fd, const struct binding *binding,
                    const struct lb_listener_options *options)
{
    int rc;

    *fd = socket(binding->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return -errno;
    rc = set_int(*fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && binding->join)
        rc = set_int(*fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && binding->address.ss_family == AF_INET6)
        rc = set_int(*fd, IPPROTO_IPV6, IPV6_V6ONLY, !binding->both_families);
    /* Before listen: the window scale that peers are told follows from it (tcp(7)). */
    if (rc == 0 && options->rcvbuf > 0)
        rc = set_int(*fd, SOL_SOCKET, SO_RCVBUF,
                     options->rcvbuf > INT32_MAX / 2 ? INT32_MAX / 2 : (int)options->rcvbuf);
    if (rc == 0)
        rc = mark(*fd);
    if (rc == 0 && options->keepalive_ms)
        rc = keep_alive(*fd, options->keepalive_ms);
    if (rc == 0 && bind(*fd, (const struct sockaddr *)&binding->address, binding->size) < 0)
        rc = -errno;
    return rc;
}

static int name_tcp(struct lb_listener *listener, const struct binding *binding)
{
    char name[LB_PEER_SIZE];

    lb_sockaddr_name((const struct sockaddr *)&binding->address, name, sizeof(name));
    listener->name = strdup(name);
    return listener->name ? 0 : -ENOMEM;
}

/* Peers go to the first count sockets of the group, whoever else joins it: any program of the same
 * user can, as long as SO_REUSEPORT is set. By chance, since a peer's address is what it chooses
 * (BPF programs of SO_ATTACH_REUSEPORT_CBPF return an index: socket(7)). */
static int keep_to_ours(int fd, unsigned count)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_RANDOM),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program;

    memset(&program, 0, sizeof(program)); /* its padding too, for valgrind */
    program.len = sizeof(steps) / sizeof(steps[0]);
    program.filter = steps;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0
               ? -errno
               : 0;
}

/* One socket per worker on the same address. The first is bound without SO_REUSEPORT, and gets it
 * only then: so it can't join a group that another program (another lastbyte, even) has there, and
 * a port in use is an error instead of a silent sharing. On success binding holds the real port. */
static int listen_tcp(struct lb_listener *listener, struct binding *binding,
                      const struct lb_listener_options *options)
{
    int rc = bind_tcp(&listener->fds[0], binding, options);

    binding->size = sizeof(binding->address);
    if (rc == 0 &&
        getsockname(listener->fds[0], (struct sockaddr *)&binding->address, &binding->size) < 0)
        rc = -errno;
    if (rc == 0 && listener->count > 1)
        rc = set_int(listener->fds[0], SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0)
        rc = start(listener->fds[0], options);
    binding->join = true;
    for (unsigned i = 1; rc == 0 && i < listener->count; i++) {
        rc = bind_tcp(&listener->fds[i], binding, options);
        if (rc == 0)
            rc = start(listener->fds[i], options);
    }
    binding->join = false;
    if (rc == 0 && listener->count > 1)
        rc = keep_to_ours(listener->fds[0], listener->count);
    return rc == 0 ? name_tcp(listener, binding) : rc;
}

/* Of a process that was forked since, the sockets are copies: to close them is all it may. */
static bool is_ours(const struct lb_listener *listener)
{
    return !listener->borrowed && !listener->lent && listener->owner == getpid();
}

static void shut_listener(struct lb_listener *listener)
{
    if (is_ours(listener))
        lb_socket_file_remove(&listener->file);
    lb_socket_file_done(&listener->file);
    for (unsigned i = 0; listener->fds && i < listener->count && !listener->borrowed; i++) {
        if (listener->fds[i] < 0)
            continue;
        /* A child that was forked meanwhile may hold it open. */
        if (is_ours(listener))
            shutdown(listener->fds[i], SHUT_RDWR);
        close(listener->fds[i]);
        listener->fds[i] = -1;
    }
}

static void close_listener(struct lb_listener *listener)
{
    shut_listener(listener);
    free(listener->fds);
    free(listener->name);
}

static void drop_listeners(struct lb_listener_list *list, size_t keep)
{
    while (list->count > keep)
        close_listener(&list->items[--list->count]);
}

static int add_tcp(struct lb_listener_list *list, struct binding *binding,
                   const struct lb_listener_options *options)
{
    struct lb_listener *listener = add_listener(list, options->sockets);

    return listener ? listen_tcp(listener, binding, options) : -ENOMEM;
}

/* No host: every address. One IPv6 socket serves both families; without IPv6, an IPv4 one. */
static int open_wildcard(struct lb_listener_list *list, const struct lb_address *address,
                         const struct lb_listener_options *options)
{
    in_port_t port = htons((in_port_t)strtoul(address->port, NULL, 10));
    struct binding binding = {.size = sizeof(struct sockaddr_in6), .both_families = true};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&binding.address;
    struct sockaddr_in *in = (struct sockaddr_in *)&binding.address;
    size_t before = list->count;
    int rc;

    *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    rc = add_tcp(list, &binding, options);
    if (rc != -EAFNOSUPPORT && rc != -EADDRNOTAVAIL)
        return rc;
    drop_listeners(list, before);
    binding = (struct binding){.size = sizeof(*in)};
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    return add_tcp(list, &binding, options);
}

/* "localhost" has an IPv6 address in many containers that have no IPv6. */
static bool lacks_family(const struct addrinfo *info, int rc)
{
    return info->ai_family == AF_INET6 && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL);
}

/* A host may stand in /etc/hosts twice with the same address. */
static bool is_repeated(const struct addrinfo *first, const struct addrinfo *info)
{
    for (; first != info; first = first->ai_next)
        if (first->ai_addrlen == info->ai_addrlen &&
            memcmp(first->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    return false;
}

/* Every address that the host's name has and this machine can have, all on one port. */
static int open_resolved(struct lb_listener_list *list, const struct addrinfo *addresses,
                         const struct lb_listener_options *options)
{
    size_t first = list->count;
    in_port_t port = 0;
    int rc = 0;

    for (const struct addrinfo *info = addresses; info; info = info->ai_next) {
        struct binding binding = {.size = info->ai_addrlen};
        struct sockaddr_in *in = (struct sockaddr_in *)&binding.address;
        size_t before = list->count;

        if (is_repeated(addresses, info))
            continue;
        memcpy(&binding.address, info->ai_addr, info->ai_addrlen);
        /* sin_port and sin6_port are at the same place. */
        if (in->sin_port == 0)
            in->sin_port = port;
        rc = add_tcp(list, &binding, options);
        if (lacks_family(info, rc))
            drop_listeners(list, before);
        else if (rc < 0)
            return rc;
        else
            port = in->sin_port;
    }
    return list->count > first ? 0 : rc;
}

static int open_tcp(struct lb_listener_list *list, const struct lb_address *address,
                    const struct lb_listener_options *options, struct lb_error *error)
{
    struct addrinfo *info;
    size_t before = list->count;
    int rc = lb_address_resolve(address, true, &info, error);

    if (rc < 0)
        return rc;
    /* Port 0 for a name with several addresses: the port found free on the first may be in use on
     * the next; then another one is tried. */
    for (int tries = 0; tries < 16; tries++) {
        rc = open_resolved(list, info, options);
        if (rc != -EADDRINUSE || strcmp(address->port, "0") != 0)
            break;
        drop_listeners(list, before);
    }
    freeaddrinfo(info);
    return rc;
}

static int open_unix(struct lb_listener_list *list, const struct lb_address *address,
                     const struct lb_listener_options *options, struct lb_error *error)
{
    struct lb_listener *listener = add_listener(list, 1);
    char name[LB_UNIX_NAME_SIZE];
    int rc = 0;

    if (!listener)
        return -ENOMEM;
    listener->is_unix = true;
    lb_unix_name(&address->un, address->un_size, name, sizeof(name));
    listener->name = strdup(name);
    if (!listener->name)
        return -ENOMEM;
    listener->fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fds[0] < 0)
        return -errno;
    if (address->un.sun_path[0])
        rc = lb_socket_file_bind(&listener->file, listener->fds[0], &address->un, address->un_size,
                                 options->unix_mode, error);
    else if (bind(listener->fds[0], (const struct sockaddr *)&address->un, address->un_size) < 0)
        rc = -errno;
    return rc < 0 ? rc : start(listener->fds[0], options);
}

static bool is_borrowed(const struct lb_listener_list *list, int fd)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].borrowed && list->items[i].fds[0] == fd)
            return true;
    return false;
}

static int open_fd(struct lb_listener_list *list, const struct lb_address *address,
                   const struct lb_listener_options *options, struct lb_error *error)
{
    struct lb_listener *listener;
    struct binding binding = {.size = sizeof(binding.address)};
    struct sockaddr *bound = (struct sockaddr *)&binding.address;
    int listening = 0, type = 0, rc = 0;
    socklen_t size = sizeof(int);
    char name[LB_UNIX_NAME_SIZE];

    if (getsockopt(address->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ||
        getsockopt(address->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        rc = -errno;
    if (rc < 0 || !listening || type != SOCK_STREAM)
        return lb_error_set(error, rc < 0 ? rc : -ENOTSOCK,
                            "fd:%d: not a listening stream socket of this process; open one and "
                            "hand it down, as systemd does",
                            address->fd);
    if (getsockname(address->fd, bound, &binding.size) < 0)
        return -errno;
    if (bound->sa_family != AF_UNIX && bound->sa_family != AF_INET && bound->sa_family != AF_INET6)
        return lb_error_set(error, -EAFNOSUPPORT,
                            "fd:%d: a socket of address family %d; hand down one of TCP or a Unix "
                            "stream socket",
                            address->fd, bound->sa_family);
    if (is_borrowed(list, address->fd))
        return lb_error_set(error, -EINVAL, "fd:%d: given twice; once is enough", address->fd);
    listener = add_listener(list, 1);
    if (!listener)
        return -ENOMEM;
    listener->fds[0] = address->fd;
    listener->borrowed = true;
    if (bound->sa_family != AF_UNIX) {
        rc = set_int(address->fd, SOL_SOCKET, SO_OOBINLINE, 1);
        if (rc == 0 && options->keepalive_ms)
            rc = keep_alive(address->fd, options->keepalive_ms);
        return rc < 0 ? rc : name_tcp(listener, &binding);
    }
    lb_unix_name((const struct sockaddr_un *)(const void *)bound, binding.size, name, sizeof(name));
    listener->name = strdup(name);
    return listener->name ? 0 : -ENOMEM;
}

static const char *remedy(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return "; another program listens there: stop it, or choose another address (port 0 is "
               "any free one)";
    case -EACCES:
    case -EPERM:
        return "; ports below 1024 and foreign directories need a privilege: choose another one";
    case -EADDRNOTAVAIL:
        return "; this machine has no such address";
    default:
        return "";
    }
}

static int open_one(struct lb_listener_list *list, const char *text,
                    const struct lb_listener_options *options, struct lb_error *error)
{
    struct lb_error why = {LB_ERROR_INIT};
    struct lb_address address;
    int rc = lb_address_parse(&address, text, &why);

    if (rc == 0 && address.kind == LB_ADDRESS_UNIX)
        rc = open_unix(list, &address, options, &why);
    else if (rc == 0 && address.kind == LB_ADDRESS_FD)
        rc = open_fd(list, &address, options, &why);
    else if (rc == 0 && address.host[0] == '\0')
        rc = open_wildcard(list, &address, options);
    else if (rc == 0)
        rc = open_tcp(list, &address, options, &why);
    if (rc == 0)
        return 0;
    if (why.text[0])
        return lb_error_set(error, rc, "%s", why.text);
    return lb_error_set(error, rc, "cannot listen on %s: %s%s", text, strerror(-rc), remedy(rc));
}

int lb_listener_open(struct lb_listener_list *list, const char *const *addresses,
                     const struct lb_listener_options *options, struct lb_error *error)
{
    *list = (struct lb_listener_list){0};
    assert(options->sockets > 0);
    for (; *addresses; addresses++) {
        int rc = open_one(list, *addresses, options, error);

        if (rc < 0) {
            lb_listener_close(list);
            return rc;
        }
    }
    return 0;
}

void lb_listener_shut(struct lb_listener_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        shut_listener(&list->items[i]);
}

int lb_listener_lend(struct lb_listener_list *list, size_t index)
{
    for (size_t i = 0; i < list->count; index -= list->items[i++].count) {
        struct lb_listener *listener = &list->items[i];

        if (index >= listener->count)
            continue;
        if (listener->fds[index] < 0)
            return -ENOENT;
        listener->lent = true;
        return listener->fds[index];
    }
    return -ENOENT;
}

void lb_listener_mark(int connection)
{
    reset_by_death(connection);
}

void lb_listener_close(struct lb_listener_list *list)
{
    drop_listeners(list, 0);
    free(list->items);
    list->items = NULL;
}
