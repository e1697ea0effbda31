/* SPDX-License-Identifier: MIT */
#ifndef SOURCE_H
#define SOURCE_H

#include "input.h"
#include "seal.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* How the stream is sealed. */
struct source_seal {
    enum lb_seal_kind kind; /* LB_SEAL_KINDS: not at all */
    struct lb_seal_key key;
};

/* The bytes of one stream: its inputs, one behind the other, and the seal around them. Whoever
 * sends them sees nothing else. */
struct source {
    struct input *inputs;
    size_t count, next;
    bool seen;   /* every byte must come by source_read */
    bool open;   /* reader is, of inputs[next - 1] */
    bool failed; /* by an error of an input, or of the seal */
    struct reader reader;

    const struct source_seal *seal;
    struct lb_seal running;
    bool begun, ended; /* the seal's first line was read, and what follows the content */
    bool is_seal;      /* what was read last is the seal's, not content */
};

/* Opens nothing yet. */
void source_init(struct source *source, struct input *inputs, size_t count, bool seen,
                 const struct source_seal *seal);
void source_close(struct source *source);

/* May the next bytes be sent by source_send? If not, they are read. */
bool source_by_kernel(const struct source *source);

/* What is to be polled for input before source_read; -1: it is ready. */
int source_fd(const struct source *source);

/* Returns the number of bytes read, 0 at the end of the stream, -EAGAIN when there are none yet, or
 * -errno with failed set. They are all content, or all the seal's, as is_seal tells. There must be
 * room for LB_SEAL_END_SIZE. */
ssize_t source_read(struct source *source, void *buffer, size_t size);

/* As reader_send. 0 at the end of one input: whether it was the last, source_read knows. On an
 * error failed tells whether it is an input's, or the socket's. */
ssize_t source_send(struct source *source, int socket);

/* Tells what failed. */
void source_why(const struct source *source, int error, char *text, size_t size);

#endif
