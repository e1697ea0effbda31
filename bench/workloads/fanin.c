/* SPDX-License-Identifier: MIT */
#include "payload.h"
#include "sender.h"
#include "ways_to_send.h"

int fanin_send(const struct trial *trial, struct sender *sender)
{
    size_t size = trial->write_size;
    int *fds = sender_connect_all(sender);
    int rc = 0;

    if (!fds)
        return -1;
    for (uint64_t sent = 0; rc == 0 && sent < trial->stream_bytes; sent += size)
        for (unsigned i = 0; rc == 0 && i < trial->streams; i++)
            rc = sender_send(sender, fds[i], payload_at(payload_phase(i) + sent), size);
    return sender_finish_all(sender, fds) < 0 ? -1 : rc;
}
