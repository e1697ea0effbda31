/* SPDX-License-Identifier: MIT */
/* A build without libssl: what asks for TLS is refused, with the feature's name. */
#include "unit.h"

#include "filter.h"
#include "tools/command/build_features.h"

#include <errno.h>
#include <string.h>

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

/* This program has the filter that stands in for it. */
static void an_engine(void **state)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "plain", .write = take};
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_config config;
    struct lb_engine *engine;

    (void)state;
    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.tls = true;
    config.tls_cert = config.tls_key = "/nowhere";
    assert_int_equal(lb_engine_open(&engine, &config, &error), -ENOTSUP);
    assert_non_null(strstr(error.text, "-Dtls"));
    config.tls = false;
    assert_int_equal(lb_engine_open(&engine, &config, &error), 0);
    lb_engine_close(engine);
}

static void options_and_commands(void **state)
{
    static const char *const options[] = {"tls", "tls-cert", "pin", "pinnedpubkey", "allow-pin"};

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        assert_true(features_tell_option(options[i]));
    assert_false(features_tell_option("pinch"));
    assert_true(features_tell_command("pin"));
    assert_false(features_tell_command("recv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine),
        cmocka_unit_test(options_and_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
