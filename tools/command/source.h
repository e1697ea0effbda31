/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_H
#define SOURCE_H

#include "input.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The bytes of one stream: its inputs, one behind the other. Whoever sends them sees nothing else,
 * so that what a stream has besides, at its begin or its end, belongs here. */
struct source {
    struct input *inputs;
    size_t count, next;
    bool seen;   /* every byte must come by source_read */
    bool open;   /* reader is, of inputs[next - 1] */
    bool failed; /* by an error of an input */
    struct reader reader;
};

/* Opens nothing yet. */
void source_init(struct source *source, struct input *inputs, size_t count, bool seen);
void source_close(struct source *source);

/* May the next bytes be sent by source_send? If not, they are read. */
bool source_by_kernel(const struct source *source);

/* What is to be polled for input before source_read; -1: it is ready. */
int source_fd(const struct source *source);

/* Returns the number of bytes read, 0 at the end of the stream, -EAGAIN when there are none yet, or
 * -errno with failed set. */
ssize_t source_read(struct source *source, void *buffer, size_t size);

/* As reader_send. 0 at the end of one input: whether it was the last, source_read knows. On an
 * error failed tells whether it is an input's, or the socket's. */
ssize_t source_send(struct source *source, int socket);

/* Tells what went wrong with an input. */
void source_why(const struct source *source, int error, char *text, size_t size);

#endif
