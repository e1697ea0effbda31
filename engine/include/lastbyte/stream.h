/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: streams, as a sink sees them. */
#ifndef LASTBYTE_STREAM_H
#define LASTBYTE_STREAM_H

#include <lastbyte/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lb_engine;
struct lb_stream;
struct sockaddr_storage;

/* A stream may be named from its sink's open until its end has returned something else than
 * -EINPROGRESS, and by no thread but the one that runs a call of its sink. Another thread keeps its
 * number, and tells the sink by lb_engine_wake. */

/* ---- what it is ------------------------------------------------------------------------------ */

/* Each holds any of its kind with its terminating NUL: a peer's name, an identity. */
enum { LB_PEER_SIZE = 72, LB_IDENTITY_SIZE = 256 };

/* Number of the stream in its engine, from 1: no two have the same. It gets it as it begins, or by
 * lb_engine_adopt. [sink, slow end] */
LB_PUBLIC uint64_t lb_stream_id(const struct lb_stream *stream);

/* Bytes that the stream's sink has taken so far. [sink, slow end] */
LB_PUBLIC uint64_t lb_stream_bytes(const struct lb_stream *stream);

/* Writes the peer's address, "127.0.0.1:40122", "[::1]:40122" or "unix:pid=71,uid=0", as it was
 * at accept, or as its front says (proxy_protocol). Returns name. IPv4 peers of an IPv6 listener
 * are written as IPv4. [sink, slow end] */
LB_PUBLIC const char *lb_stream_peer(const struct lb_stream *stream, char name[LB_PEER_SIZE]);

/* The same for a program: fills address, of <sys/socket.h>, and returns its size. Of a peer at a
 * Unix socket only the family is known. -ENOTCONN: it had reset the connection before anybody could
 * ask. [sink, slow end] */
LB_PUBLIC int lb_stream_address(const struct lb_stream *stream, struct sockaddr_storage *address);

/* Who its peer has proven to be in TLS: "pin sha256//...", "subject CN=..." or "psk IDENTITY", of
 * printable characters and shorter than LB_IDENTITY_SIZE; NULL: nobody asked. [sink, slow end] */
LB_PUBLIC const char *lb_stream_identity(const struct lb_stream *stream);

/* The index of the address that the peer has connected to: lb_engine_address names it. -ENOENT:
 * none, the connection was adopted, or is lb_receive_fd's. [sink, slow end] */
LB_PUBLIC int lb_stream_listener(const struct lb_stream *stream);

/* Its engine; NULL in lb_receive_fd. [sink, slow end] */
LB_PUBLIC struct lb_engine *lb_stream_engine(const struct lb_stream *stream);

/* The connection, for getsockopt and the like. Borrowed. Never read from it, write to it or close
 * it; to answer the peer there is lb_stream_say. [sink, slow end] */
LB_PUBLIC int lb_stream_fd(const struct lb_stream *stream);

/* The peer gets a receipt after the stream's end, so what end promises must be safe by then, and
 * what the sink writes to the peer must end in a newline. [sink, slow end] */
LB_PUBLIC bool lb_stream_receipt(const struct lb_stream *stream);

/* The sink's own memory for this stream: state_size bytes, zeroed before open, aligned to 16.
 * Freed by the engine after the stream's end. [sink, slow end] */
LB_PUBLIC void *lb_stream_state(const struct lb_stream *stream);

/* What worker_open of its sink has made for its worker; NULL without that. Only the worker's own
 * thread may use it. [sink] */
LB_PUBLIC void *lb_stream_worker(const struct lb_stream *stream);

/* ---- why it ends ----------------------------------------------------------------------------- */

/* Which limit ended the stream: "max-bytes", "idle", "min-rate", "max-time", or one of the sink's
 * own ("spool-total"); what cut it short: "peer-left", or a filter's reason; NULL if nothing did. A
 * static string, known when the sink's end is called. (A peer that is turned away, as "denied",
 * "uid" or "per-peer", reaches no sink.) [sink, slow end] */
LB_PUBLIC const char *lb_stream_why(const struct lb_stream *stream);

/* The -errno behind its end, as the kernel or the sink has told it, or 0; known when the sink's end
 * is called. [sink, slow end] */
LB_PUBLIC int lb_stream_error(const struct lb_stream *stream);

/* The stream has passed a limit that its sink sets, which is called so: a static string. Returns
 * what the sink's call should return then, -EDQUOT: after this any -errno ends the stream as
 * LB_END_LIMIT. [sink, slow end] */
LB_PUBLIC int lb_stream_over_limit(struct lb_stream *stream, const char *limit);

/* Nobody knows whether what the stream brought is safe: where its sink's end fails, its peer gets
 * no receipt, neither that it is nor that it isn't, and its connection is reset. From the sink's
 * end. Returns 0, or -EINVAL. [sink, slow end] */
LB_PUBLIC int lb_stream_in_doubt(struct lb_stream *stream);

/* The stream is complete, as its own protocol says, though its EOF has not come: it ends as
 * LB_END_EOF as soon as this call of the sink has returned. What that takes still counts; write may
 * take less than it is given, and place returns 0. What comes after is received and dropped, until
 * the peer's EOF, for at most 5 seconds and 64 MiB, so that it reads all that was said and then our
 * EOF. From open, write, place and ready. Returns 0, or -EBUSY from elsewhere, and once the stream
 * is refused. [sink] */
LB_PUBLIC int lb_stream_finish(struct lb_stream *stream);

/* Refuses the stream: tells the peer text, and a person by a note its first line; may be NULL, and
 * what is beyond LB_REFUSAL_MAX is not told. The stream ends as LB_END_SINK as soon as this call of
 * the sink has returned, the connection as lb_stream_finish says. Returns what that call should
 * return, -ECONNREFUSED: open then has opened nothing, so that end is not called. -EBUSY: from an
 * end that may block, or a settle. [sink] */
LB_PUBLIC int lb_stream_refuse(struct lb_stream *stream, const char *text);
enum { LB_REFUSAL_MAX = 4096 };

/* ---- the way back ---------------------------------------------------------------------------- */

/* Says something to the peer. Never waits: what the connection doesn't take now is queued, to a
 * bound of 64 KiB, and sent as it can be, before the connection is closed too. Before the stream's
 * EOF it is at the program's risk: a peer that closes with bytes of ours unread resets the
 * connection. Returns how many of the size bytes were taken: fewer, or -EAGAIN for none, once the
 * queue is full; ready, or an end in progress, is called when there is room. -EPIPE: the peer has
 * gone, or has read nothing for the idle timeout (30 seconds if there is none). -EBUSY: from an end
 * that may block, or a settle. -ENOMEM. [sink] */
LB_PUBLIC ssize_t lb_stream_say(struct lb_stream *stream, const void *data, size_t size);

/* ---- being called again ---------------------------------------------------------------------- */

/* A sink that has paused, or whose end is in progress, waits for one of these: an alarm, a watched
 * descriptor, room for what it says, or lb_engine_wake. One that waits for none of them, whose
 * program has never called lb_engine_wake and which has no threads, is told of by a note. */

/* Asks that the sink be called again, as for a descriptor that is ready, once so many milliseconds
 * have passed, 0: in the worker's next turn. One alarm a stream: a new one replaces the last,
 * LB_NO_ALARM withdraws it. Returns 0, or -EBUSY from an end that may block, or a settle. [sink] */
LB_PUBLIC int lb_stream_alarm(struct lb_stream *stream, unsigned ms);
#define LB_NO_ALARM UINT32_MAX

/* Asks that the sink be called again once fd is ready for events (POLLIN and/or POLLOUT; errors
 * and hang-ups count as ready). Fires once; watching the same fd again replaces the request,
 * events 0 withdraws it. One stream may watch several descriptors, two streams not the same one,
 * and the stream's own connection only while its end is in progress. Withdraw before closing fd.
 * Being called without cause is possible; retrying is harmless. Returns 0, or -errno when the
 * descriptor can't be watched (-EPERM for a regular file, which is always ready; -EINVAL for the
 * stream's own connection before its EOF, and for other events; -EBUSY from an end that may
 * block). [sink] */
LB_PUBLIC int lb_stream_watch(struct lb_stream *stream, int fd, unsigned events);

#ifdef __cplusplus
}
#endif

#endif
