/* SPDX-License-Identifier: MIT */
/* The example of a filter, in an engine with real peers. It stands in for the table of filters: the
 * linker takes this one, and leaves the library's where it is. */
#include "measured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const struct lb_filter *const lb_filters[] = {&measured_filter, NULL};

enum { ROOM = 100, PATIENCE_MS = 30000 };

/* What the sink got, and how it ended; read once the engine has. */
struct result {
    char bytes[ROOM];
    size_t size;
    enum lb_end end;
    unsigned ends;
};

static ssize_t keep(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct result *result = context;

    (void)stream;
    if (size > ROOM - result->size)
        return -EFBIG;
    memcpy(result->bytes + result->size, data, size);
    result->size += size;
    return (ssize_t)size;
}

static int note_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct result *result = context;

    (void)stream;
    result->end = end;
    result->ends++;
    return 0;
}

static struct lb_engine *start(struct result *result)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "keep", .write = keep,
                                        .end = note_end};
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    struct lb_config config;
    struct lb_engine *engine;

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.sink_context = result;
    config.workers = 1;
    config.count = 1;
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    assert_int_equal(lb_engine_start(engine), 0);
    return engine;
}

/* A peer that sends these bytes and half-closes. */
static int send_all(struct lb_engine *engine, const char *data, size_t size)
{
    int fd = lb_connect(lb_engine_address(engine, 0), PATIENCE_MS, NULL);

    assert_true(fd >= 0);
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    return fd;
}

static struct lb_stats finish(struct lb_engine *engine, int fd)
{
    struct lb_stats stats = {LB_STATS_INIT};

    assert_int_equal(lb_engine_wait(engine, PATIENCE_MS), 0);
    lb_engine_stats(engine, &stats);
    lb_engine_close(engine);
    close(fd);
    return stats;
}

static void check(const char *data, size_t size, const char *taken, enum lb_end end)
{
    struct result result = {.size = 0};
    struct lb_engine *engine = start(&result);
    struct lb_stats stats = finish(engine, send_all(engine, data, size));

    assert_int_equal(result.ends, 1);
    assert_int_equal(result.end, end);
    assert_int_equal(result.size, strlen(taken));
    assert_memory_equal(result.bytes, taken, result.size);
    assert_int_equal(stats.ends[end], 1);
    assert_int_equal(stats.bytes, result.size);
}

#define CHECK(data, taken, end) check(data, sizeof(data) - 1, taken, end)

static void ends_with_its_last_byte(void **state)
{
    (void)state;
    CHECK("\0\0\0\0\0\0\0\5hello", "hello", LB_END_EOF);
    CHECK("\0\0\0\0\0\0\0\5hello, world", "hello", LB_END_EOF);
    CHECK("\0\0\0\0\0\0\0\0", "", LB_END_EOF);
    CHECK("\0\0\0\0\0\0\0\0hello", "", LB_END_EOF);
}

static void is_truncated_before(void **state)
{
    (void)state;
    CHECK("\0\0\0\0\0\0\0\6hello", "hello", LB_END_TRUNCATED);
    CHECK("\0\0\0\0\0\0\0\1", "", LB_END_TRUNCATED);
}

static void is_no_stream_without_a_length(void **state)
{
    struct result result = {.size = 0};
    struct lb_engine *engine = start(&result);
    int first = send_all(engine, "\0\0\0", 3);
    struct lb_stats stats =
        finish(engine, send_all(engine, "\0\0\0\0\0\0\0\2ok", 10)); /* the one that counts */

    (void)state;
    close(first);
    assert_int_equal(result.ends, 1);
    assert_int_equal(result.size, 2);
    assert_int_equal(stats.streams, 1);
    assert_int_equal(stats.failed_preludes, 1);
    assert_int_equal(stats.refused, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_with_its_last_byte),
        cmocka_unit_test(is_truncated_before),
        cmocka_unit_test(is_no_stream_without_a_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
