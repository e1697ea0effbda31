/* SPDX-License-Identifier: MIT */
/*
 * lastbyte: receive byte streams to the last byte.
 *
 * Conventions
 * - Functions return 0 (or a count) on success and -errno on failure, unless they say otherwise.
 * - The library prints nothing, never exits, installs no signal handler and never raises SIGPIPE
 *   by its own writes to sockets. Sinks that write to pipes expect SIGPIPE to be ignored.
 * - Sizes are in bytes, times are in the unit their name ends with.
 * - A pointer handed in is borrowed for the call unless its comment says otherwise.
 * - Misuse is an error value in every build: -EINVAL for NULL where something is needed, for
 * unknown bits of flags, for what no struct or enum can be. Functions that return a pointer, a
 * number or nothing return NULL or 0, or do nothing.
 *
 * Structs can grow, at their end. So each begins with its size, as the program was compiled; what
 * sets it is the struct's init macro, the first thing between the braces:
 *
 *     struct lb_error error = {LB_ERROR_INIT};
 *     static const struct lb_sink sink = {LB_SINK_INIT, .name = "lines", .write = take_lines};
 *
 * lb_config has lb_config_init instead, which sets every default too. In C++ the size sets itself,
 * and the macros are empty: lb_error error{}; lb_sink sink{}; sink.name = "lines". From other
 * languages: all zero, and size what sizeof says in C.
 *
 * - What the program's struct hasn't got is as if it were zero, or left at its default.
 * - What it has and the library doesn't know must be zero: else -E2BIG, as the library is too old
 * for what is asked; so is a size above 4096. In structs that the library fills it stays untouched.
 * - A size below that of the struct's first layout, 0 above all, is -EINVAL: nobody has set it. An
 *   lb_error without room for a text is left alone; what the call returns is all that is told then.
 */
#ifndef LASTBYTE_H
#define LASTBYTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LB_PUBLIC __attribute__((visibility("default")))

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

/* The library's own, which may be a newer one, "MAJOR.MINOR.PATCH". A static string. */
LB_PUBLIC const char *lb_version(void);

/* ---- ends and errors ------------------------------------------------------------------------ */

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
    LB_END_TRUNCATED, /* the connection closed before the stream's own end had come, as a filter saw
                       */
    LB_END_COUNT
};

/* The end's name as options, messages and docs spell it ("eof", "reset", ...). A static string. */
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

/* ---- streams, as a sink sees them ----------------------------------------------------------- */

struct lb_stream;

enum { LB_PEER_SIZE = 72 }; /* holds any peer's name with its terminating NUL */

/* Number of the stream in its engine, from 1, in the order of accepts. */
LB_PUBLIC uint64_t lb_stream_id(const struct lb_stream *stream);

/* Bytes that the stream's sink has taken so far. */
LB_PUBLIC uint64_t lb_stream_bytes(const struct lb_stream *stream);

/* Writes the peer's address, "127.0.0.1:40122", "[::1]:40122" or "unix:pid=71,uid=0", as it was
 * at accept. Returns name. IPv4 peers of an IPv6 listener are written as IPv4. */
LB_PUBLIC const char *lb_stream_peer(const struct lb_stream *stream, char name[LB_PEER_SIZE]);

/* Which limit ended the stream: "max-bytes", "idle", "min-rate", "max-time", or one of the sink's
 * own
 * ("spool-total"); NULL if none did. A
 * static string, known when the sink's end is called. (A peer that is turned away, as "denied",
 * "uid" or "per-peer", reaches no sink.) */
LB_PUBLIC const char *lb_stream_why(const struct lb_stream *stream);

/* The stream has passed a limit that its sink sets, which is called so: a static string. Returns
 * what the sink's call should return then, -EDQUOT: after this any -errno ends the stream as
 * LB_END_LIMIT. */
LB_PUBLIC int lb_stream_over_limit(struct lb_stream *stream, const char *limit);

/* The connection, for getsockopt and the like. Borrowed: valid from the sink's open until its end
 * has returned something else than -EINPROGRESS. Never read from it, write to it or close it; to
 * answer the peer there is lb_stream_say. */
LB_PUBLIC int lb_stream_fd(const struct lb_stream *stream);

/* Says something to the peer, from any call of the sink but an end that may block
 * (LB_SINK_SLOW_END) and settle. Never waits: what the connection doesn't take now is queued, to a
 * bound of 64 KiB, and sent as it can be, before the connection is closed too. Before the stream's
 * EOF it is at the program's risk: a peer that closes with bytes of ours unread resets the
 * connection. Returns how many of the size bytes were taken: fewer, or -EAGAIN for none, once the
 * queue is full; ready, or an end in progress, is called when there is room. -EPIPE: the peer has
 * gone, or has read nothing for the idle timeout (30 seconds if there is none). -EBUSY: not now.
 * -ENOMEM. */
LB_PUBLIC ssize_t lb_stream_say(struct lb_stream *stream, const void *data, size_t size);

/* Asks that the sink be called again, as for a descriptor that is ready, once so many milliseconds
 * have passed, 0: in the worker's next turn. One alarm a stream: a new one replaces the last,
 * LB_NO_ALARM withdraws it. From where lb_stream_say may be called. Returns 0, or -EBUSY from
 * elsewhere. */
LB_PUBLIC int lb_stream_alarm(struct lb_stream *stream, unsigned ms);
#define LB_NO_ALARM UINT32_MAX

/* The sink's own memory for this stream: state_size bytes, zeroed before open, aligned to 16.
 * Freed by the engine after the stream's end. */
LB_PUBLIC void *lb_stream_state(const struct lb_stream *stream);

/* The peer gets a receipt after the stream's end, so what end promises must be safe by then, and
 * what the sink writes to the peer must end in a newline. */
LB_PUBLIC bool lb_stream_receipt(const struct lb_stream *stream);

/* Asks that the sink be called again once fd is ready for events (POLLIN and/or POLLOUT; errors
 * and hang-ups count as ready). Fires once; watching the same fd again replaces the request,
 * events 0 withdraws it. One stream may watch several descriptors, two streams not the same one,
 * and the stream's own connection only while its end is in progress. Withdraw before closing fd.
 * Being called without cause is possible; retrying is harmless. Returns 0, or -errno when the
 * descriptor can't be watched (-EPERM for a regular file, which is always ready; -EINVAL for the
 * stream's own connection before its EOF, and for other events; -EBUSY from an end that may
 * block). */
LB_PUBLIC int lb_stream_watch(struct lb_stream *stream, int fd, unsigned events);

/* ---- sinks ---------------------------------------------------------------------------------- */

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
    LB_NEEDS_NETWORK = 1 << 1, /* makes outgoing connections */
    LB_NEEDS_OUTPUT = 1 << 2,  /* writes to the process's standard output, or what stands for it */
    LB_NEEDS_TEMPORARY = 1 << 3, /* makes temporary files, in $TMPDIR or /tmp */
    LB_NEEDS_DIRECTORY = 1 << 4, /* makes files in the directory that lb_sink.directory tells */
};

/* What end returns besides 0 and -errno: done, but for what settle does. */
#define LB_UNSETTLED 1

/* Where a stream's bytes go. Constant, and alive as long as any engine that uses it. For one
 * stream the calls come one after another: open, write..., end. open, write and ready come from
 * the stream's worker thread; different streams may be on different threads. */
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
     * the rest is offered again when a descriptor that the sink has watched becomes ready. */
    ssize_t (*write)(struct lb_stream *stream, void *context, const void *data, size_t size);

    /* May be NULL. The sink needs no byte of the stream, only that it gets to a descriptor: a pipe,
     * or a regular file at its position. Returns that, or -1. Then large pieces go there by
     * splice(2) and never reach user space. They count in lb_stream_bytes as if write had taken
     * them; write still takes small pieces, and all that the kernel can't splice, so errors are
     * its own to find. Asked again at times, after the stream has shown to be a large one. */
    int (*target)(struct lb_stream *stream, void *context);

    /* May be NULL. The sink has memory of its own that the stream's bytes should be received into:
     * points *data there and returns its size. They are then given to write, which must take all.
     * 0: none now, and place is called again once a descriptor that the sink has watched is ready;
     * till then the stream pauses. -EOPNOTSUPP, after open only: this stream comes to write as
     * usual, and so does one whose bytes a filter changes, without place being asked. Any other
     * -errno ends the stream as LB_END_SINK. */
    ssize_t (*place)(struct lb_stream *stream, void *context, void **data);

    /* A watched descriptor became ready. Called before what waits (the rest of a write, or end)
     * is tried again. Returns 0, or -errno: the stream then ends as LB_END_SINK. May be NULL. */
    int (*ready)(struct lb_stream *stream, void *context);

    /* The stream ended; called once for each successful open, whatever the reason. Returns 0 when
     * everything the sink promises is done, or -errno when it failed (LB_END_EOF then becomes
     * LB_END_SINK). Without LB_SINK_SLOW_END it must not block, and may return -EINPROGRESS after
     * watching a descriptor: it is then called again, with the same arguments, when that is ready;
     * or with LB_END_STOPPED when the engine is stopped at once meanwhile: it should then give up
     * soon; or with LB_END_SINK after ready has failed. After any other value the engine names the
     * stream no more. May be NULL. */
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
};
#define LB_SINK_INIT LB_SIZE_INIT(lb_sink)

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
 * be NULL. The table is as long as its own size says: a program that makes a copy to change it sets
 * the copy's size. exec forks: open it before there are threads, and before limits are raised that
 * its commands should not have. */
LB_PUBLIC int lb_sink_open(const struct lb_sink **sink, void **context, const char *specification,
                           const struct lb_sink_options *options, struct lb_error *error);

/* Closes a built-in sink. No engine may use it any more. sink may be NULL. What exec holds for
 * commands that are being killed, another process holds on. Returns 0, or -EINVAL for a sink that
 * is not one of lb_sink_open's, which is left as it is. */
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
 * for a description whose size is not set. */
LB_PUBLIC bool lb_sink_describe(size_t index, struct lb_description *description);

/* ---- backends ------------------------------------------------------------------------------- */

/* Describes the index-th of the backends, best first. Returns false as lb_sink_describe does. */
LB_PUBLIC bool lb_backend_describe(size_t index, struct lb_description *description);

/* What a backend or a kernel feature may do for this process, now. */
struct lb_feature {
    size_t size LB_OWN_SIZE(lb_feature);
    const char *name; /* static, e.g. "uring", "multishot_receive" */
    bool usable;
    /* A backend: it receives through a ring of io_uring, which the kernel feature
     * "uring_restrictions" keeps from what it never uses. */
    bool ring;
    char why[206]; /* when not usable: the cause and the remedy; else a detail, or empty */
};
#define LB_FEATURE_INIT LB_SIZE_INIT(lb_feature)

enum { LB_FEATURES_MAX = 32 };

struct lb_probe {
    size_t size LB_OWN_SIZE(lb_probe);
    size_t backends; /* features[0 .. backends) are the backends, best first */
    size_t count;    /* features[backends .. count) are kernel features */
    struct lb_feature features[LB_FEATURES_MAX]; /* the size of the first is that of each */
};
#ifdef __cplusplus
#define LB_PROBE_INIT
#else
#define LB_PROBE_INIT LB_SIZE_INIT(lb_probe), .features = {{LB_FEATURE_INIT}}
#endif

/* Finds out by trying, and leaves nothing behind. Returns 0, or -EINVAL for a probe whose size, or
 * whose first feature's, is not set. */
LB_PUBLIC int lb_probe(struct lb_probe *probe);

/* ---- the engine ----------------------------------------------------------------------------- */

struct lb_engine;

/* Set every field to its default with lb_config_init, then change what you need. All pointers are
 * borrowed until lb_engine_close. Zero means "the default" wherever zero makes no sense. */
struct lb_config {
    size_t size LB_OWN_SIZE(lb_config);
    const char *const *listen; /* addresses, NULL-terminated list; see lb_address_check */
    const char *backend;       /* a backend's name, or "auto": the best that works here */
    const struct lb_sink *sink;
    void *sink_context;

    unsigned workers; /* threads; default: one for each core that affinity and the quotas of control
                         groups leave this process; blocking: 64 */
    const char *cpus; /* "0-3,8": workers run on these cores, one after the other round; default
                         workers is then how many they are. NULL: where the kernel sees fit */
    size_t slot_size; /* bytes of one slot of the pool; default: the backend's; rounded up to
                         a page */
    unsigned slots;   /* slots per worker; default: the backend's */
    unsigned max_streams; /* at once in the whole engine; default 10000; further peers wait in the
                             backlog */
    int backlog;          /* default: what the system allows (net.core.somaxconn) */
    size_t rcvbuf;        /* SO_RCVBUF in bytes; default: the kernel's own tuning */
    uint64_t count;       /* stop after this many streams have ended; 0: never */
    const void *greeting; /* sent on accept, NULL for none */
    size_t greeting_size; /* bytes, at most LB_GREETING_MAX */
    const char *receipt;  /* "xxh3" or "sha256": after its stream's end, when the sink is done, each
                             sender gets one line: "ok BYTES ALGO:DIGEST ID\n" for LB_END_EOF, else
                             "error REASON BYTES\n". NULL: none */
    unsigned drain_ms;    /* how long streams under way may go on after a stop; default 10000;
                             LB_NO_DRAIN for none */

    /* Under load, let bytes gather for at most so many microseconds before receiving: waking up
     * costs more than copying. A worker with time to spare never waits. Meanwhile streams of small
     * messages have every other one ACKed instead of each. LB_NO_GATHER: off; default 1000. */
    unsigned gather_max_us;

    /* A backend with a ring: don't have the kernel refuse the operations that it never uses. */
    bool unrestricted;

    /* TCP: a peer whose machine gives no sign of life for so long, though asked, or takes nothing
     * of what it is sent, has vanished: LB_END_TIMEOUT. In whole seconds, half of it for the first
     * question. LB_NO_KEEPALIVE: off; default 120000. */
    unsigned keepalive_ms;

    /* Limits, each ending only its own stream; 0: none. Times are met late by up to a quarter, and
     * never early; time in which the sink or a rate limit holds the stream up counts for max_time
     * only. */
    uint64_t max_bytes;          /* LB_END_LIMIT when more come; what is beyond reaches no sink */
    unsigned idle_timeout_ms;    /* LB_END_TIMEOUT after so long without a byte */
    unsigned max_time_ms;        /* LB_END_TIMEOUT when its EOF has not come by then */
    uint64_t min_rate;           /* LB_END_LIMIT when fewer bytes a second came in a window */
    unsigned min_rate_window_ms; /* one after the other, from the stream's begin; default 10000 */
    /* Let every byte come through user space, also where the sink is only a descriptor. */
    bool no_splice;

    /* Streams must be sealed, see lastbyte-seal(5): the seal is checked and taken off, and only a
     * stream that has come whole ends as LB_END_EOF. Others end as LB_END_TRUNCATED, or
     * LB_END_LIMIT at once if they don't begin as sealed streams do. With a key (at least 32 bytes)
     * only what was sealed by that is taken; NULL: none. */
    bool seal;
    const void *seal_key;
    size_t seal_key_size;

    /* Preludes of filters, what a peer sends before its stream. One that takes longer is no stream:
     * the peer is turned away. */
    unsigned handshake_timeout_ms; /* default 10000 */
    unsigned max_handshakes;       /* at once in the whole engine; default 256; others wait */

    /* Bytes a second, with bursts of a tenth of a second; 0: any number. A stream that has had so
     * many is not received from for a while, and its peer's window closes. The total is of all
     * streams of all workers, who share an account for it. */
    uint64_t rate_limit;       /* of each stream */
    uint64_t total_rate_limit; /* of the engine */

    /* Who may come in. A peer that may not gets an id and the end LB_END_LIMIT at once; it opens no
     * sink, counts as refused, and neither for count nor for max_streams. */
    const char *const *allow; /* NULL-terminated list of networks, see lb_network_check; NULL or
                                 empty: every TCP peer */
    const char *const *deny;  /* the same, for peers that may not; it wins over allow */
    unsigned unix_mode;       /* permissions of a Unix socket in the file system: writing is
                                 connecting. 0: what the umask leaves of 0777 */
    const uid_t *allow_uids;  /* who may use a Unix socket (SO_PEERCRED) */
    size_t allow_uid_count;   /* 0: everyone whom the socket's mode lets */
    unsigned max_streams_per_peer; /* at once, of one address, or one user of a Unix socket; 0: any
                                      number */

    /* Told what a person may want to know; one line without a newline, lent for the call. Called
     * from any thread, one call at a time. NULL for silence. note_level is the least that is told,
     * LB_NOTE_WARNING unless set. */
    enum lb_note_level note_level;
    void (*note)(void *context, enum lb_note_level level, const char *text);
    void *note_context;
};

/* What lb_engine_open allows at most. */
enum {
    LB_GREETING_MAX = 4096,        /* greeting_size */
    LB_WORKERS_MAX = 1024,         /* workers */
    LB_STREAMS_MAX = 1 << 20,      /* max_streams */
    LB_HANDSHAKES_MAX = 4096,      /* max_handshakes */
    LB_SLOT_SIZE_MAX = 1 << 30,    /* slot_size */
    LB_SLOTS_MAX = 1 << 15,        /* slots */
    LB_STATE_SIZE_MAX = 1 << 30,   /* state_size of its sink */
    LB_GATHER_US_MAX = 100000,     /* gather_max_us */
    LB_KEEPALIVE_MS_MAX = 32767000 /* keepalive_ms; tcp(7): the kernel's own bound */
};
#define LB_NO_DRAIN UINT32_MAX
#define LB_NO_GATHER UINT32_MAX
#define LB_NO_KEEPALIVE UINT32_MAX

/* Sets every default, and the size. Returns 0, or -EINVAL for a size below the first layout's. */
#define lb_config_init(config) lb_config_init_sized((config), sizeof(*(config)))
LB_PUBLIC int lb_config_init_sized(struct lb_config *config, size_t size);

/* What happened so far. Counts only grow. */
enum { LB_ENDS_MAX = 16 }; /* more than LB_END_COUNT: there may be further ends one day */

struct lb_stats {
    size_t size LB_OWN_SIZE(lb_stats);
    const char *backend; /* static */
    unsigned workers;    /* threads that receive */
    double cpu_seconds;  /* user and system time of the engine's threads */
    uint64_t accepted;   /* connections taken from the backlog */
    uint64_t active;     /* streams under way now */
    uint64_t streams;    /* streams that ended: the sum of ends */
    uint64_t ends[LB_ENDS_MAX];
    uint64_t refused; /* peers that were turned away: in ends too, but for failed_preludes */
    uint64_t failed_preludes; /* of them, those that never came to be a stream */
    uint64_t partial;         /* streams that a sink has seen and that ended other than eof */
    uint64_t bytes;           /* taken by sinks */
    uint64_t waits;           /* times a worker asked its backend for events */
    uint64_t receives;        /* chunks handed to sinks */
    uint64_t starved;         /* times data waited because every slot was in use */
};
#define LB_STATS_INIT LB_SIZE_INIT(lb_stats)

/* Checks the configuration, chooses the backend, binds every address and makes the threads' memory.
 * Nothing is accepted yet, but peers may already queue in the backlog. On success *engine is owned
 * by the caller (lb_engine_close). On failure nothing is left behind.
 * -EINVAL: bad configuration; -ENOSYS, -EPERM, -ENOMEM: the named backend can't run here;
 * -EADDRINUSE and others: an address can't be bound. */
LB_PUBLIC int lb_engine_open(struct lb_engine **engine, const struct lb_config *config,
                             struct lb_error *error);

/* The index-th bound address as it can be connected to, e.g. "127.0.0.1:41233", with the real port
 * where 0 was asked for; NULL past the last. Owned by the engine. */
LB_PUBLIC const char *lb_engine_address(const struct lb_engine *engine, size_t index);

/* Name of the chosen backend. Static. */
LB_PUBLIC const char *lb_engine_backend(const struct lb_engine *engine);

/* Starts the threads, once per engine: -EALREADY after that, even if it has failed. Other -errno: a
 * thread could not be made; those that were have been stopped, and what is left is to close. */
LB_PUBLIC int lb_engine_start(struct lb_engine *engine);

/* Waits until the engine has ended: count reached, or stopped and drained; every stream has its
 * end by then. Returns 0, or -ETIMEDOUT after timeout_ms (negative: no limit). One thread only.
 * -EINVAL: it was never started. -EDEADLK: called from a sink or a note on one of the engine's own
 * threads, which would wait for itself. */
LB_PUBLIC int lb_engine_wait(struct lb_engine *engine, int timeout_ms);

/* Stops accepting and lets streams under way end for up to drain_ms; a second call ends them at
 * once, as LB_END_STOPPED. From any thread and from a signal handler. */
LB_PUBLIC void lb_engine_stop(struct lb_engine *engine);

/* Has a stream's sink called, as for a descriptor that is ready: for a sink that has paused, or
 * whose end is in progress, and waits for what another thread does. It is called once at least
 * after this, on its worker's thread, unless the stream has ended by then, or there is none of that
 * number. From any thread, a sink's calls included, but not from a signal handler; never blocks.
 * Returns 0, or -ENOMEM. */
LB_PUBLIC int lb_engine_wake(struct lb_engine *engine, uint64_t id);

/* From any thread, at any time between open and close. Returns 0 or -EINVAL. */
LB_PUBLIC int lb_engine_stats(const struct lb_engine *engine, struct lb_stats *stats);

/* Stops at once if still running, waits, and frees everything. engine may be NULL. Returns 0. From
 * a sink or a note on one of the engine's own threads it can't: -EDEADLK; the engine then stops at
 * once, says so in a note, and is still to be closed, from elsewhere. */
LB_PUBLIC int lb_engine_close(struct lb_engine *engine);

/* ---- one stream, in the calling thread ------------------------------------------------------ */

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

/* ---- addresses and sizes -------------------------------------------------------------------- */

/* HOST:PORT, :PORT, [V6]:PORT, unix:PATH, unix:@NAME (abstract), fd:N. Checks the form only, asks
 * no resolver. Returns 0 or -EINVAL. */
LB_PUBLIC int lb_address_check(const char *address, struct lb_error *error);

/* ADDRESS/BITS or one address, IPv4 or IPv6; no bit may be set behind the first BITS. IPv4 peers
 * are IPv4 whatever the listener is. Returns 0 or -EINVAL. */
LB_PUBLIC int lb_network_check(const char *network, struct lb_error *error);

enum lb_connect_flags {
    LB_CONNECT_IPV4 = 1 << 0, /* of a name's addresses, only those of IPv4 */
    LB_CONNECT_IPV6 = 1 << 1, /* only those of IPv6; with both flags either */
    /* TCP: leave SO_LINGER as it is while connecting, on with no time, so that any close, that by
     * the process's own death included, resets the connection. Turn it off before a close that is
     * to end the stream, or what the socket still holds is lost. Unix sockets have no reset. */
    LB_CONNECT_RESET = 1 << 2,
};

/* Connects to an address of one of these forms (a missing HOST means localhost; fd:N is not one).
 * A name's addresses are tried in the resolver's order, the families in turn, each a quarter of a
 * second (or a share of the time, if that is less) after the one before unless that failed sooner;
 * the first that connects wins, and the others are reset. Returns a close-on-exec, blocking
 * descriptor that the caller owns, or -errno. timeout_ms bounds the whole call, and then a resolver
 * that has not answered is left to itself, in a thread that ends when it has (don't unload the
 * library meanwhile); negative: as long as resolver and kernel take. flags: of enum
 * lb_connect_flags; others are refused (-EINVAL), those of TCP ignored for Unix sockets. From any
 * thread. */
LB_PUBLIC int lb_connect_with(const char *address, unsigned flags, int timeout_ms,
                              struct lb_error *error);

/* The same with no flags. */
LB_PUBLIC int lb_connect(const char *address, int timeout_ms, struct lb_error *error);

#ifdef __cplusplus
}
#endif

#endif
