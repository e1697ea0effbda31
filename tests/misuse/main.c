/* SPDX-License-Identifier: MIT */
#include "misuse.h"

#include <stdio.h>
#include <string.h>

static struct lb_error error;

struct lb_error *ask(void)
{
    error = (struct lb_error){LB_ERROR_INIT};
    return &error;
}

int64_t told(int64_t returned)
{
    return error.code == returned && error.text[0] && !strchr(error.text, '\n') ? returned : UNTOLD;
}

void check_rows(const struct row *rows, size_t count)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < count; i++) {
        if (rows[i].returned == rows[i].expected)
            continue;
        wrong++;
        print_error("%s, %s: returned %lld in place of %lld\n", rows[i].function, rows[i].misuse,
                    (long long)rows[i].returned, (long long)rows[i].expected);
    }
    assert_int_equal(wrong, 0);
}

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

const struct lb_sink honest_sink = {LB_SINK_INIT, .name = "honest", .write = take};

struct lb_config honest_config(void)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    struct lb_config config;

    assert_int_equal(lb_config_init(&config), 0);
    config.listen = listen;
    config.sink = &honest_sink;
    config.workers = 1;
    config.count = 1;
    return config;
}

int main(void)
{
    return _cmocka_run_group_tests("calls", calls_tests, calls_count, NULL, NULL) +
           _cmocka_run_group_tests("structs", structs_tests, structs_count, NULL, NULL) +
           _cmocka_run_group_tests("callbacks", callbacks_tests, callbacks_count, NULL, NULL);
}
