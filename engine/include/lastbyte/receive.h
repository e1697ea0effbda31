/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: one stream, in the calling thread. */
#ifndef LASTBYTE_RECEIVE_H
#define LASTBYTE_RECEIVE_H

#include <lastbyte/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Receives the connected stream socket fd until its end, in the calling thread, through the
 * blocking backend; makes no threads. fd stays the caller's, and stays open. On return *end is set
 * and the sink's end has been called. Returns 0 if the stream ended (whatever the end), or -errno
 * if receiving could not begin: -EBADF, -ENOTSOCK; -EPROTOTYPE: no stream socket; -ENOTCONN: it
 * listens, or was never connected; -EINVAL: the sink is none that an engine would take; -ENOMEM and
 * the like. end may be NULL. */
LB_PUBLIC int lb_receive_fd(int fd, const struct lb_sink *sink, void *context, enum lb_end *end);

/* Receives fd until EOF into memory. On success *data holds *size bytes and a terminating NUL that
 * is not counted; the caller frees it with free(). More than limit bytes: -EMSGSIZE. A stream that
 * did not end as eof: -ECONNRESET, -ETIMEDOUT or -EIO; nothing is returned then. Or as
 * lb_receive_fd. */
LB_PUBLIC int lb_collect_fd(int fd, size_t limit, void **data, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
