/* SPDX-License-Identifier: MIT */
#include "stamps.h"

#include "payload.h"

#include <string.h>

void stamps_make(struct stamped_message *message, uint64_t planned_ns, uint64_t sequence)
{
    message->planned_ns = planned_ns;
    message->sequence = sequence;
    memcpy(message->rest, payload_at(sequence * sizeof(message->rest)), sizeof(message->rest));
}

static void read_one(struct stamps *stamps, const uint8_t *data, uint64_t now,
                     struct histogram *latency)
{
    struct stamped_message message;

    memcpy(&message, data, sizeof(message));
    if (message.sequence != stamps->sequence ||
        memcmp(message.rest, payload_at(message.sequence * sizeof(message.rest)),
               sizeof(message.rest)) != 0)
        stamps->wrong = true;
    stamps->sequence++;
    if (message.planned_ns && !stamps->wrong)
        histogram_add(latency, now > message.planned_ns ? now - message.planned_ns : 0);
}

/* Completes the message whose beginning came before. Returns how many bytes it took. */
static size_t complete_part(struct stamps *stamps, const uint8_t *data, size_t size, uint64_t now,
                            struct histogram *latency)
{
    size_t taken = sizeof(stamps->part) - stamps->have;

    if (taken > size)
        taken = size;
    memcpy(stamps->part + stamps->have, data, taken);
    stamps->have += taken;
    if (stamps->have == sizeof(stamps->part)) {
        stamps->have = 0;
        read_one(stamps, stamps->part, now, latency);
    }
    return taken;
}

void stamps_read(struct stamps *stamps, const void *data, size_t size, uint64_t now,
                 struct histogram *latency)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        size_t taken = sizeof(struct stamped_message);

        if (stamps->have > 0 || size < taken)
            taken = complete_part(stamps, bytes, size, now, latency);
        else
            read_one(stamps, bytes, now, latency);
        bytes += taken;
        size -= taken;
    }
}
