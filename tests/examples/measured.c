/* SPDX-License-Identifier: MIT */
/*
 * A filter with all that one can have on the way in: a stream says first how many bytes it has, in
 * eight bytes, the highest first. Having had them is its end; a connection that closes earlier has
 * cut it off.
 */
#include "measured.h"

#include <errno.h>

enum { HEADER = 8 };

struct measured {
    uint8_t header[HEADER];
    unsigned have; /* of the header */
    uint64_t left;
};

static int settle(const struct lb_config *config, const void **settings, struct lb_error *error)
{
    (void)error;
    *settings = config; /* every stream passes it; a real one looks for a member of its own */
    return 0;
}

/* The prelude: reads the header, and not a byte of what is behind it. */
static int enter(struct lb_stage *stage, const char **why)
{
    struct measured *state = lb_stage_state(stage);

    while (state->have < HEADER) {
        ssize_t got = lb_stage_receive(stage, state->header + state->have, HEADER - state->have, 0);

        if (got < 0)
            return (int)got; /* -EAGAIN: called again when there is more */
        if (got == 0) {
            *why = "no-length";
            return -EPIPE;
        }
        state->have += (unsigned)got;
    }
    for (int i = 0; i < HEADER; i++)
        state->left = state->left << 8 | state->header[i];
    return 0;
}

static bool take(struct lb_stage *stage, const uint8_t *data, size_t size,
                 struct lb_verdict *verdict)
{
    struct measured *state = lb_stage_state(stage);
    size_t part = size < state->left ? size : (size_t)state->left;

    state->left -= part;
    if (!lb_pass(stage, data, part, verdict))
        return false;
    /* Whatever else comes is dropped. */
    return state->left > 0 || lb_pass_end(stage, verdict);
}

static void judge_eof(struct lb_stage *stage, struct lb_verdict *verdict)
{
    const struct measured *state = lb_stage_state(stage);

    if (state->left > 0)
        *verdict = (struct lb_verdict){.end = LB_END_TRUNCATED};
}

const struct lb_filter measured_filter = {
    .name = "measured",
    .state_size = sizeof(struct measured),
    .has_end = true,
    .grows = 1, /* no more comes out than went in */
    .settle = settle,
    .enter = enter,
    .take = take,
    .eof = judge_eof,
};
