/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: one stream, in the calling thread. */
#ifndef LASTBYTE_RECEIVE_H
#define LASTBYTE_RECEIVE_H

#include <lastbyte/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits for one stream, as struct lb_config has them; 0: none. */
struct lb_receive_options {
    size_t size LB_OWN_SIZE(lb_receive_options);
    uint64_t max_bytes;
    unsigned idle_timeout_ms;
    unsigned max_time_ms; /* a deadline for the whole stream */
    uint64_t min_rate;
    unsigned min_rate_window_ms;
    int cancel_fd; /* once it is readable the stream ends as LB_END_STOPPED: an eventfd, a pipe;
                      borrowed, and not read from. 0: none */
};
#define LB_RECEIVE_OPTIONS_INIT LB_SIZE_INIT(lb_receive_options)

/* Receives the connected stream socket fd until its end, in the calling thread, through the
 * blocking backend; makes no threads. fd stays the caller's, and stays open. On return *end is set
 * and the sink's end has been called. Returns 0 if the stream ended (whatever the end), or -errno
 * if receiving could not begin: -EBADF, -ENOTSOCK; -EPROTOTYPE, -EAFNOSUPPORT: no stream socket of
 * TCP or Unix; -ENOTCONN: it listens, or was never connected; -EINVAL, -E2BIG: the sink, or the
 * options, are none that an engine would take; -ENOMEM and the like. options and end may be NULL.
 * Blocks until the end. [any thread] */
LB_PUBLIC int lb_receive_fd_with(int fd, const struct lb_sink *sink, void *context,
                                 const struct lb_receive_options *options, enum lb_end *end);

/* The same without options. [any thread] */
LB_PUBLIC int lb_receive_fd(int fd, const struct lb_sink *sink, void *context, enum lb_end *end);

/* Receives fd until EOF into memory. On success *data holds *size bytes and a terminating NUL that
 * is not counted; the caller frees it with free(). More than limit bytes: -EMSGSIZE. A stream that
 * did not end as eof: -ECONNRESET, -ETIMEDOUT, -EDQUOT: a limit of the options, -ECANCELED or -EIO;
 * nothing is returned then. Or as lb_receive_fd_with. [any thread] */
LB_PUBLIC int lb_collect_fd_with(int fd, size_t limit, const struct lb_receive_options *options,
                                 void **data, size_t *size);

/* The same without options. [any thread] */
LB_PUBLIC int lb_collect_fd(int fd, size_t limit, void **data, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
