/* SPDX-License-Identifier: MIT */
/* One stream as its sender has it, in the open or through TLS as the workload says: its bytes, and
 * its end. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "sender.h"

#include <openssl/ssl.h>
#include <sys/types.h>

struct channel {
    struct sender *sender;
    int fd;
    SSL *ssl;       /* NULL: in the open */
    bool waits;     /* until something could be sent */
    uint32_t wants; /* what it waits for if it doesn't wait itself: EPOLLIN or EPOLLOUT */
};

/* Connects the stream with this number (from 0). Its handshake is a part of the first send. Returns
 * 0, or -1 with the sender's why and nothing to close. */
int channel_open(struct channel *channel, struct sender *sender, uint64_t stream, bool waits);

/* Sends a part of data. Returns how many bytes, 0 if it wants something first, or -1 with why. */
ssize_t channel_send(struct channel *channel, const void *data, size_t size);

/* Says that this was all. Returns 0, or -1 with why. */
int channel_half_close(struct channel *channel);

/* Half-closes, waits for the peer's close, and closes. Returns 0, or -1 with why. */
int channel_finish(struct channel *channel);

void channel_close(struct channel *channel);

#endif
