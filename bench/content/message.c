/* SPDX-License-Identifier: MIT */
#include "message.h"

#include "payload.h"

#include <string.h>

void message_make(struct message *message, uint64_t planned_ns, uint64_t sequence)
{
    message->planned_ns = planned_ns;
    message->sequence = sequence;
    memcpy(message->rest, payload_at(sequence * sizeof(message->rest)), sizeof(message->rest));
}

static void read_one(struct message_reader *reader, const uint8_t *data, uint64_t now,
                     struct histogram *latency)
{
    struct message message;

    memcpy(&message, data, sizeof(message));
    if (message.sequence != reader->sequence ||
        memcmp(message.rest, payload_at(message.sequence * sizeof(message.rest)),
               sizeof(message.rest)) != 0)
        reader->wrong = true;
    reader->sequence++;
    if (message.planned_ns && !reader->wrong)
        histogram_add(latency, now > message.planned_ns ? now - message.planned_ns : 0);
}

/* Completes the message whose beginning came before. Returns how many bytes it took. */
static size_t complete_part(struct message_reader *reader, const uint8_t *data, size_t size,
                            uint64_t now, struct histogram *latency)
{
    size_t taken = sizeof(reader->part) - reader->have;

    if (taken > size)
        taken = size;
    memcpy(reader->part + reader->have, data, taken);
    reader->have += taken;
    if (reader->have == sizeof(reader->part)) {
        reader->have = 0;
        read_one(reader, reader->part, now, latency);
    }
    return taken;
}

void message_read(struct message_reader *reader, const void *data, size_t size, uint64_t now,
                  struct histogram *latency)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t taken = sizeof(struct message);

        if (reader->have > 0 || size < taken)
            taken = complete_part(reader, bytes, size, now, latency);
        else
            read_one(reader, bytes, now, latency);
        bytes += taken;
        size -= taken;
    }
}
