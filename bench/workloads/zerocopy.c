/* SPDX-License-Identifier: MIT */
/* MSG_ZEROCOPY: the kernel sends from the pages of the payload, and says in the socket's error
 * queue when it is done with them. Nothing here writes to them, so it is waited for no answer but
 * where the queue is full. */
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWERS_EVERY = 16 /* writes */ };

struct zerocopy {
    struct sender *sender;
    int fd;
    unsigned writes;
};

/* Takes the answers that are there. An answer says of a row of writes whether the kernel has copied
 * them after all. */
static void take_answers(struct zerocopy *zerocopy)
{
    char control[128];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};

    while (recvmsg(zerocopy->fd, &message, MSG_ERRQUEUE) >= 0) {
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        const struct sock_extended_err *answer = header ? (const void *)CMSG_DATA(header) : NULL;

        if (answer && answer->ee_origin == SO_EE_ORIGIN_ZEROCOPY) {
            uint64_t writes = (uint64_t)answer->ee_data - answer->ee_info + 1;

            zerocopy->sender->report->answered += writes;
            if (answer->ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
                zerocopy->sender->report->copied += writes;
        }
        message.msg_controllen = sizeof(control);
    }
}

static int send_pages(struct zerocopy *zerocopy, const uint8_t *data, size_t size)
{
    struct pollfd answers = {.fd = zerocopy->fd};

    while (size > 0) {
        ssize_t sent = send(zerocopy->fd, data, size, MSG_ZEROCOPY | MSG_NOSIGNAL);

        if (sent < 0 && errno == ENOBUFS) {
            poll(&answers, 1, -1);
            take_answers(zerocopy);
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return sender_fail(zerocopy->sender, "send", errno);
        data += sent;
        size -= (size_t)sent;
        if (++zerocopy->writes % ANSWERS_EVERY == 0)
            take_answers(zerocopy);
    }
    return 0;
}

int bulk_zerocopy(const struct trial *trial, struct sender *sender)
{
    struct zerocopy zerocopy = {.sender = sender};
    int *fds = sender_connect_all(sender);
    size_t size = trial->write_size;
    int on = 1, rc = 0;

    if (!fds)
        return -1;
    zerocopy.fd = fds[0];
    if (setsockopt(zerocopy.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
        rc = sender_fail(sender, "SO_ZEROCOPY", errno);
    for (uint64_t sent = 0; rc == 0 && sent < trial->stream_bytes; sent += size)
        rc = send_pages(&zerocopy, payload_at(payload_phase(0) + sent), size);
    if (rc == 0)
        take_answers(&zerocopy);
    return sender_finish_all(sender, fds) < 0 ? -1 : rc;
}

void zerocopy_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    const struct sender_report *sender = &sample->sender;

    figures_add(figures, "mapped_share",
                (double)sample->receiver.mapped / (double)trial_bytes(trial));
    if (sender->answered > 0)
        figures_add(figures, "sender_copied_share",
                    (double)sender->copied / (double)sender->answered);
}
