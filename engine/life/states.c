/* SPDX-License-Identifier: MIT */
#include "states.h"

#include <assert.h>
#include <stdatomic.h>

#define TO(state) (1u << LB_STREAM_##state)

static const unsigned steps_allowed[LB_STREAM_STATES] = {
    [LB_STREAM_FREE] = TO(PARKED),
    /* To begin: RECEIVING, or THROTTLED by others' bytes, or ANSWERING if the sink refuses it. */
    [LB_STREAM_PARKED] = TO(ENTERING) | TO(RECEIVING) | TO(THROTTLED) | TO(ANSWERING) | TO(FREE),
    [LB_STREAM_ENTERING] = TO(PARKED) | TO(CANCELLED) | TO(FREE),
    /* ANSWERING, if the sink refuses what a first byte has made a stream; FREE: none has come. */
    [LB_STREAM_RECEIVING] = TO(THROTTLED) | TO(PAUSED) | TO(CANCELLED) | TO(ENDING) |
                            TO(COMMITTING) | TO(ANSWERING) | TO(FREE),
    [LB_STREAM_THROTTLED] = TO(RECEIVING) | TO(ENDING) | TO(COMMITTING),
    [LB_STREAM_PAUSED] = TO(RECEIVING) | TO(THROTTLED) | TO(ENDING) | TO(COMMITTING),
    /* FREE: it was ENTERING, or no byte has come. */
    [LB_STREAM_CANCELLED] = TO(ENDING) | TO(COMMITTING) | TO(FREE),
    [LB_STREAM_ENDING] = TO(ANSWERING),
    [LB_STREAM_COMMITTING] = TO(ANSWERING),
    [LB_STREAM_ANSWERING] = TO(FREE),
};

static _Atomic unsigned steps_taken[LB_STREAM_STATES];

unsigned lb_state_steps_allowed(enum lb_stream_state from)
{
    return steps_allowed[from];
}

unsigned lb_state_steps_taken(enum lb_stream_state from)
{
    return steps_taken[from];
}

void lb_state_move(struct lb_stream *stream, enum lb_stream_state state)
{
    assert(steps_allowed[stream->state] & 1u << state);
#ifndef NDEBUG
    if (!(atomic_load_explicit(&steps_taken[stream->state], memory_order_relaxed) & 1u << state))
        atomic_fetch_or(&steps_taken[stream->state], 1u << state);
#endif
    stream->state = state;
}
