/* SPDX-License-Identifier: MIT */
/* The public header comes first and alone, and its types and macros are used as a program would.
 * Compiled as strict C11, C++11 and C++17 by header_test.sh; never run. */
#include <lastbyte/lastbyte.h>

#if LB_VERSION_NUM < 0x000100
#error "LB_VERSION_NUM is no number for the preprocessor"
#endif

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

#ifdef __cplusplus
#if __cplusplus >= 201703L
static_assert(lb_error{}.size == sizeof(lb_error), "the size sets itself");
#endif
#else
static const struct lb_sink table = {LB_SINK_INIT, .name = "table", .write = take};
#endif

int main(void)
{
    const char *listen[] = {"127.0.0.1:0", NULL};
    char peer[LB_PEER_SIZE];
    struct lb_sink sink = {LB_SINK_INIT};
    struct lb_sink_options options = {LB_SINK_OPTIONS_INIT};
    struct lb_description description = {LB_DESCRIPTION_INIT};
    struct lb_engine *engine = NULL;
    struct lb_config config;
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_probe probe = {LB_PROBE_INIT};
    struct lb_stats stats = {LB_STATS_INIT};
    enum lb_end end = LB_END_EOF;

    sink.name = "header";
    sink.flags = LB_SINK_SERIAL;
    sink.needs = LB_NEEDS_OUTPUT;
    sink.write = take;
#ifndef __cplusplus
    sink = table;
#endif
    options.append = true;
    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.drain_ms = LB_NO_DRAIN;
    if (lb_sink_open(&config.sink, &config.sink_context, "file:/nowhere", &options, &error) < 0 ||
        lb_engine_open(&engine, &config, &error) < 0)
        return 1;
    lb_probe(&probe);
    lb_engine_stats(engine, &stats);
    lb_engine_close(engine);
    return lb_sink_describe(0, &description) && stats.ends[end] == probe.count &&
           sizeof(peer) > LB_GREETING_MAX;
}
