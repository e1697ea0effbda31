/* SPDX-License-Identifier: MIT */
/* The public header comes first and alone, and its types and macros are used as a program would.
 * Compiled as strict C11 and as C++11 by header_test.sh; never run. */
#include <lastbyte/lastbyte.h>

static ssize_t take(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    (void)stream;
    (void)context;
    (void)data;
    return (ssize_t)size;
}

int main(void)
{
    const char *listen[] = {"127.0.0.1:0", NULL};
    char peer[LB_PEER_SIZE];
    struct lb_sink sink = {"header", 0,    LB_SINK_SERIAL, LB_NEEDS_OUTPUT,
                           0,        0,    NULL,           take,
                           NULL,     NULL, NULL,           NULL,
                           NULL,     NULL, NULL,           NULL};
    struct lb_engine *engine = NULL;
    struct lb_config config;
    struct lb_error error;
    struct lb_probe probe;
    struct lb_stats stats;
    enum lb_end end = LB_END_EOF;

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.drain_ms = LB_NO_DRAIN;
    if (lb_engine_open(&engine, &config, &error) < 0)
        return 1;
    lb_probe(&probe);
    lb_engine_stats(engine, &stats);
    lb_engine_close(engine);
    return stats.ends[end] == probe.count && sizeof(peer) > LB_GREETING_MAX;
}
