/* SPDX-License-Identifier: MIT */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Slots beside the working set: what paused streams hold must not stop the others. Each holds a
 * chunk at most, and what its filters have made of another. The pool is reserved, not touched, so
 * those that are never needed cost nothing. */
static unsigned reserve_slots(const struct lb_rules *rules)
{
    bool may_pause = rules->sink->flags & LB_SINK_MAY_PAUSE;
    bool serial = rules->sink->flags & LB_SINK_SERIAL;
    unsigned each = rules->filtered ? 2 : 1;

    if (!may_pause)
        return 0;
    return each * (serial || rules->backend->one_stream_per_worker ? 1 : rules->max_streams);
}

static int open_backend(struct lb_lane *lane, const struct lb_lane_options *options,
                        struct lb_error *error)
{
    const struct lb_backend_config config = {
        .listeners = options->listeners,
        .listener_count = options->listener_count,
        .wake_fd = lane->inbox.wake_fd,
        .max_streams = options->streams,
        .pool = &lane->pool,
        .whole_slots = reserve_slots(lane->rules) > 0,
        .unrestricted = lane->rules->unrestricted,
        .own_loop = lane->rules->own_loop,
    };
    int rc = lane->backend->open(&lane->backend_state, &config, error);

    if (rc == 0)
        lane->status = lane->backend->status(lane->backend_state);
    return rc;
}

static int make_memory(struct lb_lane *lane, struct lb_error *error)
{
    const struct lb_rules *rules = lane->rules;
    int rc =
        lb_pool_init(&lane->pool, rules->pool.slot_size, rules->pool.slots, reserve_slots(rules));

    if (rc == 0 && rules->filter_count > 0) {
        lane->scratch = malloc((size_t)LB_SCRATCH_SIZE * LB_SCRATCH_WAYS * rules->filter_count);
        rc = lane->scratch ? 0 : -ENOMEM;
    }
    if (rc < 0)
        lb_error_set(error, rc, "no memory for %u slots of %zu bytes: %s", rules->pool.slots,
                     rules->pool.slot_size, strerror(-rc));
    return rc;
}

int lb_lane_open(struct lb_lane *lane, const struct lb_lane_options *options,
                 struct lb_error *error)
{
    const struct lb_rules *rules = options->rules;
    int rc;

    *lane = (struct lb_lane){
        .rules = rules,
        .backend = rules->backend,
        .throttle = {.limits = rules->throttle},
    };
    lb_pipe_init(&lane->pipe);
    rc = lb_inbox_open(&lane->inbox);
    if (rc < 0)
        lb_error_set(error, rc, "no eventfd: %s", strerror(-rc));
    else
        rc = make_memory(lane, error);
    if (rc == 0)
        rc = open_backend(lane, options, error);
    if (rc < 0)
        lb_lane_close(lane);
    return rc;
}

void lb_lane_close_backend(struct lb_lane *lane)
{
    if (lane->backend_state)
        lane->backend->close(lane->backend_state);
    lane->backend_state = NULL;
}

void lb_lane_close(struct lb_lane *lane)
{
    lb_lane_close_backend(lane);
    lb_pool_done(&lane->pool);
    lb_pipe_done(&lane->pipe);
    lb_inbox_close(&lane->inbox);
    free(lane->scratch);
    lane->scratch = NULL;
}
