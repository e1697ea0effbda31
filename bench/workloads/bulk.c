/* SPDX-License-Identifier: MIT */
#include "channel.h"
#include "figures.h"
#include "payload.h"
#include "sample.h"
#include "sender.h"
#include "ways_to_send.h"

#include <errno.h>
#include <sys/sendfile.h>

static int send_copy(struct channel *channel, uint64_t position, size_t size)
{
    const uint8_t *data = payload_at(position);

    while (size > 0) {
        ssize_t sent = channel_send(channel, data, size);

        if (sent < 0)
            return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int send_pages(struct channel *channel, uint64_t position, size_t size)
{
    while (size > 0) {
        off_t offset = (off_t)payload_offset(position);
        ssize_t sent = sendfile(channel->fd, payload_fd(), &offset, size);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return sender_fail(channel->sender, "sendfile", sent < 0 ? errno : EIO);
        position += (uint64_t)sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int send_stream(const struct trial *trial, struct sender *sender,
                       int (*part)(struct channel *, uint64_t position, size_t size))
{
    size_t size = trial->write_size;
    struct channel channel;
    int rc = 0;

    if (channel_open(&channel, sender, 0, true) < 0)
        return -1;
    for (uint64_t sent = 0; rc == 0 && sent < trial->stream_bytes; sent += size)
        rc = part(&channel, payload_phase(0) + sent, size);
    return channel_finish(&channel) < 0 ? -1 : rc;
}

int bulk_send(const struct trial *trial, struct sender *sender)
{
    return send_stream(trial, sender, send_copy);
}

int bulk_sendfile(const struct trial *trial, struct sender *sender)
{
    return send_stream(trial, sender, send_pages);
}

void sweep_tell(const struct trial *trial, const struct sample *sample, struct figures *figures)
{
    (void)sample;
    figures_add(figures, "slot_size", (double)trial->slot_size);
    figures_add(figures, "slots", trial->slots);
}
