/* SPDX-License-Identifier: MIT */
/* A descriptor that sinks write to. */
#ifndef LB_OUTPUT_H
#define LB_OUTPUT_H

#include <lastbyte/lastbyte.h>

struct lb_output {
    int fd; /* borrowed */
    bool is_socket;
    void (*lost)(void *context); /* of the options, or NULL */
    void *lost_context;
};

/* The descriptor that options name for the sink. -EBADF when it is not open for writing. */
int lb_output_init(struct lb_output *output, const char *sink_name,
                   const struct lb_sink_options *options, struct lb_error *error);

/* One write, as much as fits. Returns bytes or -errno; never raises SIGPIPE on a socket, never
 * waits on one. */
ssize_t lb_output_put(const struct lb_output *output, const void *data, size_t size);

/* Writes everything, and waits as long as that takes. Returns 0 or -errno; how much was written
 * before a failure is not known. */
int lb_output_write(const struct lb_output *output, const void *data, size_t size);

/* The same for a regular file. */
int lb_file_write(int fd, const void *data, size_t size);

#endif
