/* SPDX-License-Identifier: MIT */
/* The meter in front of a sink: what it has taken, as a count and as a digest, and how that stands
 * against the stream's limits. */
#ifndef LB_METER_H
#define LB_METER_H

#include "digest.h"
#include "limit.h"

struct lb_meter {
    uint64_t bytes;          /* that the sink has taken */
    struct lb_digest digest; /* of them; not open: nobody asks */
    struct lb_pace pace;
    uint64_t look_ns; /* when limits of time are looked at next; 0: there are none */
};

/* method may be one that was not chosen: no digest then. 0 or -ENOMEM. */
int lb_meter_open(struct lb_meter *meter, const struct lb_digest_method *method);
void lb_meter_close(struct lb_meter *meter);

/* The sink has taken bytes that never were in user space. */
static inline void lb_meter_count(struct lb_meter *meter, size_t size)
{
    meter->bytes += size;
}

/* The sink has taken these. 0 or -EIO. */
static inline int lb_meter_add(struct lb_meter *meter, const void *data, size_t size)
{
    lb_meter_count(meter, size);
    return meter->digest.algorithm ? lb_digest_update(&meter->digest, data, size) : 0;
}

/* The stream begins at now_ns: its limits of time, if it has any, are looked at from then on. */
void lb_meter_begin(struct lb_meter *meter, const struct lb_limits *limits, uint64_t now_ns);

/* What a stream's peer could do at a moment. */
struct lb_hold {
    bool held;        /* nothing: it is our turn */
    uint64_t waiting; /* it has sent so many bytes that were not received yet */
};

/* Looks at the limits of time. Returns what passing one means, or NULL; look_ns is then the next
 * time. */
const struct lb_verdict *lb_meter_look(struct lb_meter *meter, const struct lb_limits *limits,
                                       struct lb_hold hold, uint64_t now_ns);

#endif
