/* SPDX-License-Identifier: MIT */
/* Counts the lines of one stream: the smallest whole program, as LIBRARY.md shows it. */
#include <lastbyte/lastbyte.h>
#include <stdio.h>

struct count {
    unsigned long lines;
};

static ssize_t count_lines(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct count *count = lb_stream_state(stream); /* this stream's own, zeroed */
    const char *byte = data;                       /* lent until we return */

    (void)context;
    for (size_t i = 0; i < size; i++)
        count->lines += byte[i] == '\n';
    return (ssize_t)size;
}

static int tell(struct lb_stream *stream, void *context, enum lb_end end)
{
    const struct count *count = lb_stream_state(stream);
    char peer[LB_PEER_SIZE];

    (void)context;
    printf("%s: %lu lines, %llu bytes, %s\n", lb_stream_peer(stream, peer), count->lines,
           (unsigned long long)lb_stream_bytes(stream), lb_end_name(end));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct lb_sink sink = {LB_SINK_INIT, .name = "lines",
                                        .state_size = sizeof(struct count), .write = count_lines,
                                        .end = tell};
    const char *listen[] = {argc > 1 ? argv[1] : ":1090", NULL};
    struct lb_config config;
    struct lb_engine *engine;
    struct lb_error error = {LB_ERROR_INIT};

    lb_config_init(&config);
    config.listen = listen;
    config.sink = &sink;
    config.count = 1; /* without this it serves until lb_engine_stop */
    if (lb_engine_open(&engine, &config, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (lb_engine_start(engine) == 0)
        lb_engine_wait(engine, -1);
    lb_engine_close(engine);
    return 0;
}
