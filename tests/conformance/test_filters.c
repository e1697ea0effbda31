/* SPDX-License-Identifier: MIT */
#include "test_filters.h"

#include "filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

unsigned test_filters_used;
atomic_size_t test_header_bytes;

static int settle_if(enum test_filter filter, const void **settings)
{
    *settings = test_filters_used & filter ? &test_filters_used : NULL;
    return 0;
}

/* ---- header ---------------------------------------------------------------------------------- */

static const char magic[] = "HEAD";

enum { MAGIC_SIZE = sizeof(magic) - 1, HEADER_SIZE_MIN = MAGIC_SIZE + 1 };

struct header {
    uint8_t got[HEADER_SIZE_MAX];
    size_t size;
};

size_t header_make(uint8_t header[HEADER_SIZE_MAX], uint8_t kind, const char *address,
                   uint16_t port)
{
    const uint16_t network_port = htons(port);

    memcpy(header, magic, MAGIC_SIZE);
    header[MAGIC_SIZE] = kind;
    if (kind != HEADER_ADDRESS)
        return HEADER_SIZE_MIN;
    inet_pton(AF_INET, address, header + HEADER_SIZE_MIN);
    memcpy(header + HEADER_SIZE_MIN + 4, &network_port, sizeof(network_port));
    return HEADER_SIZE_MAX;
}

static int header_settle(const struct lb_config *config, const void **settings,
                         struct lb_error *error)
{
    (void)config;
    (void)error;
    return settle_if(FILTER_HEADER, settings);
}

/* How much of the header is to be read, as far as is known; 0: it is none. */
static size_t wanted(const struct header *header)
{
    size_t known = header->size < MAGIC_SIZE ? header->size : MAGIC_SIZE;

    if (memcmp(header->got, magic, known) != 0)
        return 0;
    if (header->size < HEADER_SIZE_MIN)
        return HEADER_SIZE_MIN;
    switch (header->got[MAGIC_SIZE]) {
    case HEADER_PLAIN:
    case HEADER_ASK:
        return HEADER_SIZE_MIN;
    case HEADER_ADDRESS:
        return HEADER_SIZE_MAX;
    default:
        return 0;
    }
}

static int act_on(struct lb_stage *stage, const struct header *header)
{
    union lb_peer peer = {.in = {.sin_family = AF_INET}};

    if (header->got[MAGIC_SIZE] == HEADER_ASK)
        return lb_stage_say(stage, "heard\n", 6);
    if (header->got[MAGIC_SIZE] == HEADER_ADDRESS) {
        memcpy(&peer.in.sin_addr, header->got + HEADER_SIZE_MIN, 4);
        memcpy(&peer.in.sin_port, header->got + HEADER_SIZE_MIN + 4, 2);
        lb_stage_set_peer(stage, &peer);
    }
    return 0;
}

static int header_enter(struct lb_stage *stage, const char **why)
{
    struct header *header = lb_stage_state(stage);
    size_t size;

    while ((size = wanted(header)) > header->size) {
        ssize_t got = lb_stage_receive(stage, header->got + header->size, size - header->size, 0);

        if (got < 0)
            return (int)got;
        if (got == 0) {
            *why = "cut off";
            return -ECONNRESET;
        }
        header->size += (size_t)got;
        atomic_fetch_add(&test_header_bytes, (size_t)got);
    }
    if (size > 0)
        return act_on(stage, header);
    *why = "not a header";
    return -EPROTO;
}

static const struct lb_filter header_filter = {
    .name = "header",
    .state_size = sizeof(struct header),
    .settle = header_settle,
    .enter = header_enter,
};

/* ---- pairs ----------------------------------------------------------------------------------- */

/* Half a pair that waits for its other half. */
struct half {
    bool is_there;
    bool is_bad; /* they were no pair */
    uint8_t byte;
};

void pairs_make(const uint8_t *data, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = data[i];
        out[2 * i + 1] = (uint8_t)~data[i];
    }
}

/* Takes pairs apart, up to what is none. Returns how many bytes came of them. */
static size_t take_apart(struct half *half, const uint8_t *data, size_t size, uint8_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < size && !half->is_bad; i++) {
        half->is_there = !half->is_there;
        if (half->is_there)
            half->byte = data[i];
        else if ((data[i] ^ half->byte) == UINT8_MAX)
            out[count++] = half->byte;
        else
            half->is_bad = true;
    }
    return count;
}

static int double_settle(const struct lb_config *config, const void **settings,
                         struct lb_error *error)
{
    (void)config;
    (void)error;
    return settle_if(FILTER_DOUBLE, settings);
}

/* In two parts of odd sizes, so that what comes behind has to hold half a pair. */
static bool double_take(struct lb_stage *stage, const uint8_t *data, size_t size,
                        struct lb_verdict *verdict)
{
    uint8_t *out = lb_stage_scratch(stage);

    pairs_make(data, size, out);
    return lb_pass(stage, out, 1, verdict) && lb_pass(stage, out + 1, 2 * size - 1, verdict);
}

static int say_apart(struct lb_stage *stage, const void *data, size_t size)
{
    struct half *half = lb_stage_state(stage);
    const uint8_t *bytes = data;
    int rc = 0;

    while (size > 0 && rc == 0) {
        size_t part = size < LB_SCRATCH_SIZE ? size : LB_SCRATCH_SIZE;
        size_t count = take_apart(half, bytes, part, lb_stage_scratch(stage));

        rc = half->is_bad ? -EBADMSG : lb_stage_say(stage, lb_stage_scratch(stage), count);
        bytes += part;
        size -= part;
    }
    return rc;
}

static const struct lb_filter double_filter = {
    .name = "double",
    .state_size = sizeof(struct half),
    .grows = 2,
    .settle = double_settle,
    .take = double_take,
    .say = say_apart,
};

static int halve_settle(const struct lb_config *config, const void **settings,
                        struct lb_error *error)
{
    (void)config;
    (void)error;
    return settle_if(FILTER_HALVE, settings);
}

static bool halve_take(struct lb_stage *stage, const uint8_t *data, size_t size,
                       struct lb_verdict *verdict)
{
    uint8_t *out = lb_stage_scratch(stage);
    struct half *half = lb_stage_state(stage);
    size_t count = take_apart(half, data, size, out);

    if (!lb_pass(stage, out, count, verdict))
        return false;
    if (!half->is_bad)
        return true;
    *verdict = (struct lb_verdict){LB_END_ERROR, -EBADMSG, "no pair"};
    return false;
}

static void halve_eof(struct lb_stage *stage, struct lb_verdict *verdict)
{
    const struct half *half = lb_stage_state(stage);

    if (half->is_there)
        *verdict = (struct lb_verdict){.end = LB_END_TRUNCATED, .why = "half a pair"};
}

static int say_pairs(struct lb_stage *stage, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    int rc = 0;

    while (size > 0 && rc == 0) {
        size_t part = size < LB_SCRATCH_SIZE / 2 ? size : LB_SCRATCH_SIZE / 2;

        pairs_make(bytes, part, lb_stage_scratch(stage));
        rc = lb_stage_say(stage, lb_stage_scratch(stage), 2 * part);
        bytes += part;
        size -= part;
    }
    return rc;
}

static const struct lb_filter halve_filter = {
    .name = "halve",
    .state_size = sizeof(struct half),
    .grows = 1,
    .extra = 1,
    .settle = halve_settle,
    .take = halve_take,
    .eof = halve_eof,
    .say = say_pairs,
};

/* ---- judge ----------------------------------------------------------------------------------- */

struct judge {
    enum { AT_SIZE, IN_FRAME, AT_TRAILER, WHOLE } at;
    uint8_t left; /* of the frame */
};

size_t frames_make(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t used = 0;

    for (size_t frame = 1; size > 0; frame = frame % UINT8_MAX + 1) {
        size_t part = frame < size ? frame : size;

        out[used++] = (uint8_t)part;
        memcpy(out + used, data, part);
        used += part;
        data += part;
        size -= part;
    }
    return used;
}

static int judge_settle(const struct lb_config *config, const void **settings,
                        struct lb_error *error)
{
    (void)config;
    (void)error;
    return settle_if(FILTER_JUDGE, settings);
}

/* One byte of what is around the frames. Returns true to go on. */
static bool judge_byte(struct lb_stage *stage, uint8_t byte, struct lb_verdict *verdict)
{
    struct judge *judge = lb_stage_state(stage);

    if (judge->at == AT_SIZE) {
        judge->at = byte ? IN_FRAME : AT_TRAILER;
        judge->left = byte;
        return true;
    }
    if (judge->at == AT_TRAILER && byte == 'W') {
        judge->at = WHOLE;
        return true;
    }
    if (judge->at == AT_TRAILER && byte == 'E')
        return lb_pass_end(stage, verdict);
    *verdict = (struct lb_verdict){LB_END_ERROR, -EBADMSG, "behind the trailer"};
    return false;
}

static bool judge_take(struct lb_stage *stage, const uint8_t *data, size_t size,
                       struct lb_verdict *verdict)
{
    struct judge *judge = lb_stage_state(stage);

    while (size > 0) {
        size_t part = 1;

        if (judge->at == IN_FRAME) {
            part = size < judge->left ? size : judge->left;
            if (!lb_pass(stage, data, part, verdict))
                return false;
            judge->left = (uint8_t)(judge->left - part);
            if (judge->left == 0)
                judge->at = AT_SIZE;
        } else if (!judge_byte(stage, *data, verdict)) {
            return false;
        }
        data += part;
        size -= part;
    }
    return true;
}

static void judge_eof(struct lb_stage *stage, struct lb_verdict *verdict)
{
    const struct judge *judge = lb_stage_state(stage);

    if (judge->at != WHOLE)
        *verdict = (struct lb_verdict){.end = LB_END_TRUNCATED, .why = "no trailer"};
}

static void judge_finish(struct lb_stage *stage)
{
    lb_stage_say(stage, "bye\n", 4);
}

static const struct lb_filter judge_filter = {
    .name = "judge",
    .state_size = sizeof(struct judge),
    .has_end = true,
    .grows = 1,
    .settle = judge_settle,
    .take = judge_take,
    .eof = judge_eof,
    .finish = judge_finish,
};

const struct lb_filter *const lb_filters[] = {&header_filter, &double_filter, &halve_filter,
                                              &judge_filter, NULL};
