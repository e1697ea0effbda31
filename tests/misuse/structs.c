/* SPDX-License-Identifier: MIT */
/* Structs of a program that was compiled with another lastbyte.h, or forgot their size. */
#include "misuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sizes of the first layouts: with the members that came then, and without those since. */
#define FIRST_CONFIG offsetof(struct lb_config, tune)
#define FIRST_SINK offsetof(struct lb_sink, worker_open)
#define FIRST_STATS offsetof(struct lb_stats, handshaking)

/* What a newer header could have. */
struct newer_config {
    struct lb_config known;
    uint64_t news;
};
struct newer_sink {
    struct lb_sink known;
    uint64_t news;
};
struct newer_options {
    struct lb_sink_options known;
    uint64_t news;
};

static int open_config(const void *config)
{
    struct lb_engine *engine = NULL;
    int rc = lb_engine_open(&engine, config, ask());

    assert_int_equal(lb_engine_close(engine), 0);
    return rc < 0 ? (int)told(rc) : rc;
}

static int open_sized(size_t size)
{
    struct lb_config config = honest_config();

    config.size = size;
    return open_config(&config);
}

static int open_newer(uint64_t news)
{
    struct newer_config config = {.news = 77};

    assert_int_equal(lb_config_init_sized(&config.known, sizeof(config)), 0);
    assert_int_equal(config.news, 0);
    config.known = honest_config();
    config.known.size = sizeof(config);
    config.news = news;
    return open_config(&config);
}

static int open_sink_sized(size_t size, uint64_t news)
{
    struct newer_sink sink = {honest_sink, news};
    struct lb_config config = honest_config();

    sink.known.size = size;
    config.sink = &sink.known;
    return open_config(&config);
}

static int open_options_sized(size_t size, uint64_t news)
{
    struct newer_options options = {.known = {.size = size}, .news = news};
    const struct lb_sink *sink = NULL;
    void *context = NULL;
    int rc = lb_sink_open(&sink, &context, "hash", &options.known, ask());

    assert_int_equal(lb_sink_close(sink, context), 0);
    return rc < 0 ? (int)told(rc) : rc;
}

static void handed_in(void **state)
{
    struct lb_config config;
    const struct row rows[] = {
        ROW(lb_engine_open, "a size of 0", open_sized(0), -EINVAL),
        ROW(lb_engine_open, "a small size", open_sized(FIRST_CONFIG - 1), -EINVAL),
        ROW(lb_engine_open, "the first size", open_sized(FIRST_CONFIG), 0),
        ROW(lb_engine_open, "a wild size", open_sized(SIZE_MAX), -E2BIG),
        ROW(lb_engine_open, "newer, at its defaults", open_newer(0), 0),
        ROW(lb_engine_open, "newer, and asks for news", open_newer(1), -E2BIG),
        ROW(lb_engine_open, "a sink's size of 0", open_sink_sized(0, 0), -EINVAL),
        ROW(lb_engine_open, "a sink's small size", open_sink_sized(FIRST_SINK - 1, 0), -EINVAL),
        ROW(lb_engine_open, "an older sink", open_sink_sized(FIRST_SINK, 0), 0),
        ROW(lb_engine_open, "a newer sink", open_sink_sized(sizeof(struct newer_sink), 0), 0),
        ROW(lb_engine_open, "a newer sink's news", open_sink_sized(sizeof(struct newer_sink), 1),
            -E2BIG),
        ROW(lb_sink_open, "a size of 0", open_options_sized(0, 0), -EINVAL),
        ROW(lb_sink_open, "newer", open_options_sized(sizeof(struct newer_options), 0), 0),
        ROW(lb_sink_open, "newer, with news", open_options_sized(sizeof(struct newer_options), 1),
            -E2BIG),
        ROW(lb_config_init_sized, "a small size", lb_config_init_sized(&config, FIRST_CONFIG - 1),
            -EINVAL),
        ROW(lb_config_init_sized, "a wild size", lb_config_init_sized(&config, SIZE_MAX), -EINVAL),
    };

    (void)state;
    CHECK_ROWS(rows);
}

/* ---- filled by the library ------------------------------------------------------------------- */

static void filled(void **state)
{
    struct {
        struct lb_stats known;
        uint64_t news;
    } stats = {{LB_STATS_INIT}, 77};
    struct {
        struct lb_description known;
        uint64_t news;
    } description = {{LB_DESCRIPTION_INIT}, 77};
    struct lb_config config = honest_config();
    struct lb_engine *engine;

    (void)state;
    assert_int_equal(lb_engine_open(&engine, &config, NULL), 0);
    stats.known.size = sizeof(stats);
    assert_int_equal(lb_engine_stats(engine, &stats.known), 0);
    assert_int_equal(stats.known.size, sizeof(stats));
    assert_int_equal(stats.known.workers, 1);
    assert_int_equal(stats.news, 77);
    stats.known.handshaking = 66;
    stats.known.size = FIRST_STATS;
    assert_int_equal(lb_engine_stats(engine, &stats.known), 0);
    assert_int_equal(stats.known.handshaking, 66);
    stats.known.size = FIRST_STATS - 1;
    stats.known.workers = 66;
    assert_int_equal(lb_engine_stats(engine, &stats.known), -EINVAL);
    assert_int_equal(stats.known.workers, 66);
    lb_engine_close(engine);

    description.known.size = sizeof(description);
    assert_true(lb_sink_describe(0, &description.known));
    assert_string_equal(description.known.name, "print");
    assert_int_equal(description.news, 77);
    description.known.size = 0;
    assert_false(lb_sink_describe(0, &description.known));
    assert_false(lb_backend_describe(0, &description.known));
}

/* Features of a newer header are longer, each of them. */
static void a_newer_probe(void **state)
{
    struct newer_feature {
        struct lb_feature known;
        uint64_t news;
    };
    struct {
        size_t size, backends, count;
        struct newer_feature features[LB_FEATURES_MAX];
        uint64_t news;
    } probe = {.size = sizeof(probe), .news = 77};
    struct lb_probe small = {LB_PROBE_INIT};

    (void)state;
    probe.features[0].known.size = sizeof(probe.features[0]);
    probe.features[1].news = 77;
    assert_int_equal(lb_probe((struct lb_probe *)(void *)&probe), 0);
    assert_int_equal(lb_probe(&small), 0);
    assert_int_equal(probe.count, small.count);
    for (size_t i = 0; i < small.count; i++) {
        assert_string_equal(probe.features[i].known.name, small.features[i].name);
        assert_int_equal(probe.features[i].known.size, sizeof(struct newer_feature));
        assert_int_equal(small.features[i].size, sizeof(struct lb_feature));
    }
    assert_int_equal(probe.features[1].news, 77);
    assert_int_equal(probe.news, 77);

    small.features[0].size = 0;
    assert_int_equal(lb_probe(&small), -EINVAL);
    small.features[0].size = sizeof(struct newer_feature);
    assert_int_equal(lb_probe(&small), -EINVAL);
    small.size = 0;
    assert_int_equal(lb_probe(&small), -EINVAL);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Telling why can't be the reason to fail: one without a size is left alone, a short one is filled
 * as far as it goes. */
static void errors(void **state)
{
    struct lb_error error;
    size_t head = offsetof(struct lb_error, text);

    (void)state;
    memset(&error, 'x', sizeof(error));
    error.size = 0;
    assert_int_equal(lb_address_check("nonsense", &error), -EINVAL);
    assert_int_equal(error.text[0], 'x');
    error.size = head;
    assert_int_equal(lb_address_check("nonsense", &error), -EINVAL);
    assert_int_equal(error.text[0], 'x');
    error.size = head + 5;
    assert_int_equal(lb_address_check("nonsense", &error), -EINVAL);
    assert_int_equal(error.code, -EINVAL);
    assert_string_equal(error.text, "nons");
    assert_int_equal(error.text[5], 'x');
    error.size = SIZE_MAX;
    assert_int_equal(lb_address_check("nonsense", &error), -EINVAL);
    assert_non_null(strstr(error.text, "no port"));
}

static void the_version(void **state)
{
    int major, minor, patch;

    (void)state;
    assert_int_equal(sscanf(lb_version(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_int_equal(major, LB_VERSION_MAJOR);
    assert_int_equal(minor, LB_VERSION_MINOR);
    assert_int_equal(patch, LB_VERSION_PATCH);
    assert_int_equal(LB_VERSION_NUM, (major << 16) + (minor << 8) + patch);
    assert_string_equal(lb_version(), PROJECT_VERSION);
}

const struct CMUnitTest structs_tests[] = {
    cmocka_unit_test(handed_in), cmocka_unit_test(filled),      cmocka_unit_test(a_newer_probe),
    cmocka_unit_test(errors),    cmocka_unit_test(the_version),
};
const size_t structs_count = sizeof(structs_tests) / sizeof(structs_tests[0]);
