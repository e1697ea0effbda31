/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: sinks, a program's own and the built-in ones. */
#ifndef LASTBYTE_SINK_H
#define LASTBYTE_SINK_H

#include <lastbyte/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lb_timing;

enum lb_sink_flags {
    /* One stream at a time over the whole engine, in the order of accepts; others wait. */
    LB_SINK_SERIAL = 1 << 0,
    /* write may take less than it is given; see there. */
    LB_SINK_MAY_PAUSE = 1 << 1,
    /* end may block (a disk, a slow pipe): it runs on the engine's committer thread, one end at a
     * time, in the order of ends, so that no other stream waits. For a sink with settle there are
     * several such threads: ends of different streams may run at once, in any order. */
    LB_SINK_SLOW_END = 1 << 2,
};

/* What a sink needs besides its stream's connection: a program that sets limits or gives up rights
 * must leave it that. */
enum lb_needs {
    /* Has programs started, by a process that was forked when the sink was opened: they keep what
     * this process gives up. */
    LB_NEEDS_PROGRAMS = 1 << 0,
    LB_NEEDS_NETWORK = 1 << 1, /* makes outgoing connections to addresses that it knows */
    LB_NEEDS_OUTPUT = 1 << 2,  /* writes to the process's standard output, or what stands for it */
    LB_NEEDS_TEMPORARY = 1 << 3, /* makes temporary files, in $TMPDIR or /tmp */
    LB_NEEDS_DIRECTORY = 1 << 4, /* makes files in the directory that lb_sink.directory tells */
};

/* What end returns besides 0 and -errno: done, but for what settle does. */
#define LB_UNSETTLED 1

/* Where a stream's bytes go. Constant, and alive as long as any engine that uses it; several may,
 * with contexts of their own. For one stream the calls come one after another: open, write..., end.
 * All but settle, and end with LB_SINK_SLOW_END, come from the stream's worker thread; different
 * streams may be on different threads, so what they share is locked, or the worker's
 * (worker_open).
 *
 * "Must not block": other streams of the worker wait meanwhile. So no lock that is held for long,
 * no connect, no resolver, no pipe or socket that isn't non-blocking, no fsync. A regular file on a
 * local disk may be written to: that is a copy into the page cache, which waits only where the disk
 * is far behind (so do the built-in sinks); one on a network may not. */
struct lb_sink {
    size_t size LB_OWN_SIZE(lb_sink);
    const char *name;
    size_t state_size; /* bytes of lb_stream_state for each stream */
    unsigned flags;    /* of enum lb_sink_flags */

    unsigned needs;       /* of enum lb_needs */
    unsigned descriptors; /* that one stream holds at a time, at most, beside its connection */
    unsigned threads;     /* that the sink makes itself, at most */

    /* A stream begins. Must not block. Returns 0, or -errno to refuse it: the stream then ends as
     * LB_END_SINK and end is not called. May be NULL. */
    int (*open)(struct lb_stream *stream, void *context);

    /* Takes bytes. data is lent until the call returns. Must not block. Returns how many bytes it
     * took, or -errno: the stream then ends as LB_END_SINK. Taking less than size is allowed with
     * LB_SINK_MAY_PAUSE only: the stream is then not received from, the peer's window closes, and
     * the rest is offered again when something calls the sink (ready tells what can). */
    ssize_t (*write)(struct lb_stream *stream, void *context, const void *data, size_t size);

    /* May be NULL. The sink needs no byte of the stream, only that it gets to a descriptor: a pipe,
     * or a regular file at its position. Returns that, or -1. Then large pieces go there by
     * splice(2) and never reach user space. They count in lb_stream_bytes as if write had taken
     * them; write still takes small pieces, and all that the kernel can't splice, so errors are
     * its own to find. Asked again at times, after the stream has shown to be a large one. */
    int (*target)(struct lb_stream *stream, void *context);

    /* May be NULL. The sink has memory of its own that the stream's bytes should be received into:
     * points *data there and returns its size. They are then given to write, which must take all.
     * 0: none now, and place is called again once something calls the sink; till then the stream
     * pauses. -EOPNOTSUPP, after open only: this stream comes to write as usual, and so does one
     * whose bytes a filter changes, without place being asked. Any other -errno ends the stream as
     * LB_END_SINK. */
    ssize_t (*place)(struct lb_stream *stream, void *context, void **data);

    /* A watched descriptor became ready, an alarm rang, the peer has taken some of what was said,
     * or lb_engine_wake was called. Called before what waits (the rest of a write, or end) is tried
     * again. Must not block. Returns 0, or -errno: the stream then ends as LB_END_SINK. May be
     * NULL.
     */
    int (*ready)(struct lb_stream *stream, void *context);

    /* The stream ended; called once for each successful open, whatever the reason. Returns 0 when
     * everything the sink promises is done, or -errno when it failed (LB_END_EOF then becomes
     * LB_END_SINK). Without LB_SINK_SLOW_END it must not block, and may return -EINPROGRESS after
     * watching a descriptor: it is then called again, with the same arguments, when that is ready;
     * or, after LB_END_EOF, with LB_END_STOPPED when the engine is stopped at once meanwhile, or
     * LB_END_TIMEOUT when max_time is over: it should then give up soon; or with LB_END_SINK after
     * ready has failed. After any other value the engine names the stream no more. May be NULL. */
    int (*end)(struct lb_stream *stream, void *context, enum lb_end end);

    /* Does at once what the ends of count streams left to do, those that returned LB_UNSETTLED: one
     * fsync of a directory for all files that got their names in it. Only with LB_SINK_SLOW_END;
     * may block, while other ends run, but no other settle. Returns 0, or -errno when none of the
     * streams is safe: each then ends as LB_END_SINK, so what end has done is to be undone. May be
     * NULL. */
    int (*settle)(struct lb_stream *const *streams, size_t count, void *context);

    /* What the receipt of a stream that ended as LB_END_EOF calls it: a unique word of visible
     * ASCII characters, at most 255, that is valid until the sink's next call. NULL, here or
     * returned: the engine makes one. */
    const char *(*receipt_id)(struct lb_stream *stream, void *context);

    /* With LB_NEEDS_DIRECTORY: a descriptor of the directory that the sink makes files in. It stays
     * the sink's, and valid as long as the context. From any thread. */
    int (*directory)(void *context);

    /* Would a stream that comes now find what it needs? For a program that has become another user,
     * or has given up other rights, since the sink was opened; before an engine starts. What the
     * sink starts programs with does the same then. Without this call exec starts none for another
     * user than the one that opened it. Returns 0, or -errno with the cause and the remedy in
     * error. May be NULL: nothing can have changed. */
    int (*check)(void *context, struct lb_error *error);

    /* What a worker's streams share: a connection, buffers. Called on the worker's thread before
     * its first stream; workers are numbered from 0. *state, NULL before, is what lb_stream_worker
     * returns. Returns 0, or -errno: lb_engine_start then fails with that. May block: the start
     * waits for it. May be NULL. */
    int (*worker_open)(void *context, unsigned worker, void **state);

    /* For each worker_open that succeeded, on the same thread, after the last of its streams. May
     * be NULL. */
    void (*worker_close)(void *context, void *state);

    /* How long things take that the sink waits for: fills timing, which is zeroed but for its size,
     * with those of the index-th, each under a name of its own. Returns false past the last. From
     * any thread, while streams are under way; must not block. May be NULL. */
    bool (*timing)(void *context, size_t index, struct lb_timing *timing);
};
#define LB_SINK_INIT LB_SIZE_INIT(lb_sink)

/* ---- built-in sinks -------------------------------------------------------------------------- */

/* Options of the built-in sinks; zero is the default of each. A sink refuses an option that it is
 * not named with. */
struct lb_sink_options {
    size_t size LB_OWN_SIZE(lb_sink_options);
    /* Where sinks with LB_NEEDS_OUTPUT write, for the others nothing; borrowed; 0 means standard
     * output (1). */
    int output_fd;
    bool append; /* file: add each complete stream to the end of the file */
    bool direct; /* file, dir: write past the page cache; needs a file system with O_DIRECT */
    /* file, dir: don't sync before a receipt is given. What it calls safe then outlives this
     * process, but not a crash of the machine. */
    bool no_fsync;
    /* exec: bytes of a command's output that may wait on disk, for the end of its input or for its
     * peer; with more the stream ends as LB_END_SINK (-EFBIG). Default 1 GiB. */
    uint64_t spool_max;
    /* print, exec: bytes of all streams that may wait on disk; with more the largest ends as
     * LB_END_LIMIT, "spool-total". Default 1 GiB. Of print 64 MiB wait in memory besides. */
    uint64_t spool_total;
    /* Told what opening the sink has found, and done about it; and later, of file and dir, what
     * their owner has to look after. From any thread, also while lb_config's is called. */
    void (*note)(void *context, enum lb_note_level level, const char *text);
    void *note_context; /* of output_lost, too */
    /* Told that the reader of output_fd has gone: no stream that brings a byte can be taken any
     * more. From any thread, once for each stream that finds it so. May be NULL. */
    void (*output_lost)(void *context);
};
#define LB_SINK_OPTIONS_INIT LB_SIZE_INIT(lb_sink_options)

/* Opens a built-in sink by its specification: "print", "stdout", "discard", "hash[:ALGO]",
 * "file:PATH", "dir:PATH", "exec:COMMAND". On success *sink is a static table and *context is
 * owned by the caller: give both to an engine, and after the engine is closed to lb_sink_close.
 * Fails with -EINVAL for an unknown or malformed specification, or an option that the sink has not;
 * -errno when the target can't be used (no such directory, file exists, no permission). options may
 * be NULL. A program that wants to change what one of them does wraps it (lb_sink_wrap). exec
 * forks: open it before there are threads, and before limits are raised that its commands should
 * not have. Blocks. [any thread] */
LB_PUBLIC int lb_sink_open(const struct lb_sink **sink, void **context, const char *specification,
                           const struct lb_sink_options *options, struct lb_error *error);

/* Closes a built-in sink. No engine may use it any more. sink may be NULL. What exec holds for
 * commands that are being killed, another process holds on. Returns 0, or -EINVAL for a sink that
 * is not one of lb_sink_open's, which is left as it is. Blocks. [any thread] */
LB_PUBLIC int lb_sink_close(const struct lb_sink *sink, void *context);

/* What a built-in sink or a backend is called, and is, for a person. Static strings. */
struct lb_description {
    size_t size LB_OWN_SIZE(lb_description);
    const char *name;
    const char *argument;   /* a sink: the shape of what follows "name:"; NULL if nothing may */
    bool argument_optional; /* "name" alone will do */
    const char *help;       /* part of a line: what it does */
};
#define LB_DESCRIPTION_INIT LB_SIZE_INIT(lb_description)

/* Describes the index-th of the built-in sinks, best known first. Returns false past the last, and
 * for a description whose size is not set. [any thread] */
LB_PUBLIC bool lb_sink_describe(size_t index, struct lb_description *description);

/* ---- a sink that wraps another --------------------------------------------------------------- */

/* The context of a sink that wraps another, or the first member of that. The program sets inner and
 * inner_context, as lb_sink_open fills them; lb_sink_wrap the rest. */
struct lb_wrap {
    size_t size LB_OWN_SIZE(lb_wrap);
    const struct lb_sink *inner; /* borrowed, as inner_context is, as long as outer is in use */
    void *inner_context;
    size_t state_offset; /* see lb_wrap_state */
};
#define LB_WRAP_INIT LB_SIZE_INIT(lb_wrap)

/* Makes outer a sink that wraps wrap->inner: a call that outer has not is passed on to inner, with
 * inner's context; one that it has is its own, and is to call inner's, if that has one, where inner
 * should hear of it too. So a program changes what it wants to:
 *
 *     static int begin(struct lb_stream *stream, void *context)
 *     {
 *         struct counted *counted = context;
 *         const struct lb_wrap *wrap = &counted->wrap;
 *
 *         atomic_fetch_add(&counted->streams, 1);
 *         return wrap->inner->open ? wrap->inner->open(stream, wrap->inner_context) : 0;
 *     }
 *
 *     struct counted counted = {.wrap = {LB_WRAP_INIT}};
 *     struct lb_sink outer = {LB_SINK_INIT, .open = begin};
 *
 *     lb_sink_open(&counted.wrap.inner, &counted.wrap.inner_context, "dir:in", NULL, NULL);
 *     lb_sink_wrap(&outer, &counted.wrap, NULL);
 *     config.sink = &outer;
 *     config.sink_context = &counted;
 *
 * With a write of its own it sees every byte: target and place are not passed on then. Of
 * worker_open and worker_close both are passed on, or none. Each keeps what the contract asks for
 * of the other: outer gives inner the calls for a stream in their order, and what they return is
 * outer's to return. Flags and needs are those of both, descriptors and threads their sums, so
 * outer leaves its own at what it needs besides; a name that it has not is inner's. Sinks that wrap
 * others can be wrapped. Once for each outer and wrap; both stay where they are as long as an
 * engine uses them. Returns 0, or with nothing changed -EINVAL: inner, or what comes of the two, is
 * no sink that an engine takes; -E2BIG: inner has calls that the program's struct lb_sink is too
 * short for. [any thread] */
LB_PUBLIC int lb_sink_wrap(struct lb_sink *outer, struct lb_wrap *wrap, struct lb_error *error);

/* Outer's own memory for this stream: its state_size before lb_sink_wrap, zeroed and aligned as
 * lb_stream_state's, which is inner's. NULL for NULL. [sink, slow end] */
LB_PUBLIC void *lb_wrap_state(const struct lb_wrap *wrap, const struct lb_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
