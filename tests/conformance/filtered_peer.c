/* SPDX-License-Identifier: MIT */
#include "filtered_suite.h"
#include "test_filters.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

uint8_t *filtered_encode(struct server *server, uint64_t tag, size_t size, char trailer,
                         size_t *encoded)
{
    uint8_t *payload = malloc(size + 1), *frames = malloc(2 * size + 4),
            *pairs = malloc(4 * size + 8), *result;

    CHECK(server, payload && frames && pairs);
    payload_fill(tag, 0, payload, size);
    if (test_filters_used & FILTER_JUDGE) {
        *encoded = frames_make(payload, size, frames);
        frames[*encoded] = 0;
        frames[*encoded + 1] = (uint8_t)trailer;
        *encoded += trailer ? 2 : 0;
    } else {
        memcpy(frames, payload, size);
        *encoded = size;
    }
    free(payload);
    result = frames;
    if ((test_filters_used & FILTER_PAIR) == FILTER_HALVE) {
        pairs_make(frames, *encoded, pairs);
        *encoded *= 2;
        result = pairs;
    }
    free(result == pairs ? frames : pairs);
    return result;
}

void filtered_send(struct server *server, int fd, uint64_t tag, char trailer)
{
    size_t size, part = 1;
    uint8_t *data = filtered_encode(server, tag, FILTERED_SIZE, trailer, &size);

    for (size_t sent = 0; sent < size; sent += part) {
        part = part * 3 % 40009;
        part = part < size - sent ? part : size - sent;
        CHECK_OK(server, peer_send(fd, data + sent, part));
    }
    free(data);
}

size_t filtered_hear(struct server *server, int fd, char heard[FILTERED_HEARD])
{
    size_t size = 0;
    ssize_t got;

    while ((got = recv(fd, heard + size, FILTERED_HEARD - 1 - size, 0)) > 0)
        size += (size_t)got;
    CHECK_SAME(server, got, 0);
    heard[size] = '\0';
    close(fd);
    return size;
}

void filtered_begin(struct server *server, unsigned filters, size_t room)
{
    test_filters_used = filters;
    server_begin(server, room);
}
/* Takes a little at a time, and is ready at once. */
static ssize_t sip(struct ledger_entry *entry, struct lb_stream *stream, const void *data,
                   size_t size)
{
    enum { SIP = 509 };
    int error;

    (void)data;
    if (size <= SIP)
        return (ssize_t)size;
    error = ledger_watch_gate(entry, stream);
    return error ? error : SIP;
}

void filtered_use_sips(struct server *server)
{
    server->sink.flags |= LB_SINK_MAY_PAUSE;
    server->ledger.hooks.write = sip;
    gate_open(&server->ledger.gate);
}
