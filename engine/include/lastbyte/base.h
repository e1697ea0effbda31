/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: how structs are sized, the version, ends, errors. */
#ifndef LASTBYTE_BASE_H
#define LASTBYTE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the functions are declared. A program that wants something else, as a generator of bindings
 * does, defines it before. */
#ifndef LB_PUBLIC
#define LB_PUBLIC __attribute__((visibility("default")))
#endif

/* How a struct's size is set. */
#ifdef __cplusplus
#define LB_OWN_SIZE(name) = sizeof(struct name)
#define LB_SIZE_INIT(name)
#else
#define LB_OWN_SIZE(name)
#define LB_SIZE_INIT(name) .size = sizeof(struct name)
#endif

/* The version of this header. */
#define LB_VERSION_MAJOR 0
#define LB_VERSION_MINOR 1
#define LB_VERSION_PATCH 0
#define LB_VERSION_NUM (LB_VERSION_MAJOR << 16 | LB_VERSION_MINOR << 8 | LB_VERSION_PATCH)

/* The library's own, which may be a newer one, "MAJOR.MINOR.PATCH". A static string. [any thread]
 */
LB_PUBLIC const char *lb_version(void);

/* The one reason a stream ended. Only LB_END_EOF means that it is complete. */
enum lb_end {
    LB_END_EOF,       /* the kernel returned 0 bytes: the peer said "that was all" */
    LB_END_RESET,     /* the peer reset the connection */
    LB_END_TIMEOUT,   /* the peer vanished, or idle_timeout or max_time passed */
    LB_END_LIMIT,     /* the stream passed a limit that was set for it: max_bytes, min_rate;
                         or it was turned away: deny, allow, allow_uids, max_streams_per_peer */
    LB_END_SINK,      /* the sink refused or failed; the data is not safe */
    LB_END_STOPPED,   /* the engine was stopped before the stream's end */
    LB_END_ERROR,     /* any other error of the socket */
    LB_END_TRUNCATED, /* the connection closed before the stream's own end had come, as a filter
                         saw; or with receipts a Unix peer left without a half-close */
    LB_END_COUNT
};

/* The end's name as options, messages and docs spell it ("eof", "reset", ...). A static string.
 * [any thread] */
LB_PUBLIC const char *lb_end_name(enum lb_end end);

/* Why a call failed, for a person: one line without a newline, naming the remedy where known.
 * Owned by the caller; filled only when the call fails. Every function takes NULL for "don't tell".
 */
struct lb_error {
    size_t size LB_OWN_SIZE(lb_error);
    int code; /* the -errno that the call returned */
    char text[500];
};
#define LB_ERROR_INIT LB_SIZE_INIT(lb_error)

/* How much a note matters. */
enum lb_note_level {
    LB_NOTE_DETAIL, /* for --verbose: what was chosen and why, each stream's end */
    LB_NOTE_WARNING /* something a person should know: a stream did not end as eof, accept paused */
};

#ifdef __cplusplus
}
#endif

#endif
