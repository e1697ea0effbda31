/* SPDX-License-Identifier: MIT */
/* seal: only a stream that its sender has sealed, and that has come whole, ends as eof. What stands
 * around the content is taken off. */
#include "seal.h"

#include "filter.h"

#include <errno.h>
#include <string.h>

struct seal_state {
    const struct lb_config *config;
    struct lb_seal seal;
    bool open;                     /* the first line has come */
    unsigned held;                 /* bytes of what follows */
    char first[LB_SEAL_FIRST_MAX]; /* what has come of the first line */
    char last[LB_SEAL_END_SIZE];   /* the last bytes so far, which may be the end */
};

static int seal_settle(const struct lb_config *config, const void **settings,
                       struct lb_error *error)
{
    (void)error;
    *settings = config->seal ? config : NULL;
    return 0;
}

static struct lb_seal_key key_of(const struct seal_state *state)
{
    return (struct lb_seal_key){state->config->seal_key, state->config->seal_key_size};
}

static int seal_open(struct lb_stage *stage, const void *settings)
{
    struct seal_state *state = lb_stage_state(stage);

    state->config = settings;
    return 0;
}

static bool refuse(struct lb_verdict *verdict, enum lb_end end, const char *why)
{
    *verdict = (struct lb_verdict){.end = end, .why = why};
    return false;
}

static bool fail(struct lb_verdict *verdict, int error)
{
    *verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = error};
    return false;
}

/* It is judged as soon as it can't become one. *used is how much of data belongs to it. */
static bool take_first_line(struct seal_state *state, const uint8_t *data, size_t size,
                            size_t *used, struct lb_verdict *verdict)
{
    const size_t room = LB_SEAL_FIRST_MAX - state->held;
    const uint8_t *newline = memchr(data, '\n', size < room ? size : room);
    struct lb_seal_key key = key_of(state);
    int rc;

    *used = newline ? (size_t)(newline - data) + 1 : size < room ? size : room;
    memcpy(state->first + state->held, data, *used);
    state->held += (unsigned)*used;
    if (!newline && state->held < LB_SEAL_FIRST_MAX && lb_seal_may_begin(state->first, state->held))
        return true;
    rc = newline ? lb_seal_open(&state->seal, state->first, state->held, &key) : -EINVAL;
    if (rc == -EINVAL)
        return refuse(verdict, LB_END_LIMIT, "no-seal");
    if (rc == -EKEYREJECTED)
        return refuse(verdict, LB_END_LIMIT, "seal-key");
    state->open = rc == 0;
    state->held = 0;
    return rc == 0 || fail(verdict, rc);
}

static bool pass(struct lb_stage *stage, struct seal_state *state, const void *data, size_t size,
                 struct lb_verdict *verdict)
{
    int rc = size > 0 ? lb_seal_add(&state->seal, data, size) : 0;

    if (rc < 0)
        return fail(verdict, rc);
    return lb_pass(stage, data, size, verdict);
}

/* All but the last bytes are content. */
static bool take_content(struct lb_stage *stage, struct seal_state *state, const uint8_t *data,
                         size_t size, struct lb_verdict *verdict)
{
    size_t all = state->held + size, content = all > LB_SEAL_END_SIZE ? all - LB_SEAL_END_SIZE : 0;
    size_t of_held = content < state->held ? content : state->held, of_data = content - of_held;

    if (!pass(stage, state, state->last, of_held, verdict) ||
        !pass(stage, state, data, of_data, verdict))
        return false;
    memmove(state->last, state->last + of_held, state->held - of_held);
    state->held -= (unsigned)of_held;
    memcpy(state->last + state->held, data + of_data, size - of_data);
    state->held += (unsigned)(size - of_data);
    return true;
}

static bool seal_take(struct lb_stage *stage, const uint8_t *data, size_t size,
                      struct lb_verdict *verdict)
{
    struct seal_state *state = lb_stage_state(stage);
    size_t used = 0;

    if (!state->open && !take_first_line(state, data, size, &used, verdict))
        return false;
    return used == size || take_content(stage, state, data + used, size - used, verdict);
}

static void seal_eof(struct lb_stage *stage, struct lb_verdict *verdict)
{
    struct seal_state *state = lb_stage_state(stage);
    int rc = -EINVAL;

    if (state->open && state->held == LB_SEAL_END_SIZE)
        rc = lb_seal_check(&state->seal, state->last);
    if (rc == -EINVAL)
        refuse(verdict, LB_END_TRUNCATED, "no-end-seal");
    else if (rc == -EBADMSG)
        refuse(verdict, LB_END_TRUNCATED, "wrong-seal");
    else if (rc < 0)
        fail(verdict, rc);
}

static void seal_close(struct lb_stage *stage)
{
    struct seal_state *state = lb_stage_state(stage);

    lb_seal_close(&state->seal);
}

const struct lb_filter lb_filter_seal = {
    .name = "seal",
    .state_size = sizeof(struct seal_state),
    .has_end = true,
    .grows = 1,
    .extra = LB_SEAL_END_SIZE,
    .settle = seal_settle,
    .open = seal_open,
    .take = seal_take,
    .eof = seal_eof,
    .close = seal_close,
};
