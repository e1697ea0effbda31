/* SPDX-License-Identifier: MIT */
/* Part of lastbyte.h: backends, and the engine. */
#ifndef LASTBYTE_ENGINE_H
#define LASTBYTE_ENGINE_H

#include <lastbyte/event.h>
#include <lastbyte/sink.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- backends ------------------------------------------------------------------------------- */

/* Describes the index-th of the backends, best first. Returns false as lb_sink_describe does. [any
 * thread] */
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
 * whose first feature's, is not set. Blocks. [any thread] */
LB_PUBLIC int lb_probe(struct lb_probe *probe);

/* ---- the engine ----------------------------------------------------------------------------- */

struct lb_engine;

/* An engine is of the process that has opened it. A child that was forked may only close it, which
 * closes its copies of the listening sockets and does nothing to the parent's (the rest of the
 * memory and the descriptors stay until it ends or execs: all are close-on-exec); the functions
 * below that could do more return -ECHILD there. */

/* What a worker is to care for, where it can't do for all. */
enum lb_tune {
    /* Bytes gather only while the worker is short of time (messages that would take it more than
     * 0.7 of a core), and only as long as the peers lose hardly any throughput by it. Where it has
     * time, no message waits, but while throughput rises by that: peers are busy then, with waking
     * the worker. Some 5 ms tell, after four seconds, eight and so on. From 0.25 of a core on it
     * gathers what nobody waits for so soon: bulk, pieces of 12 KiB and more, of 32 KiB and more
     * for 0.15 ms a turn only, and streams that are over after a receive. */
    LB_TUNE_BALANCED,
    /* Bytes gather whenever that saves processor time, from 0.25 of a core on: the least of that,
     * for up to gather_max_us more delay, and less throughput where the sender is the limit. */
    LB_TUNE_SAVE_CPU,
    /* Nothing ever waits, and every message is ACKed at once: the least delay, for the most
     * processor time under load. */
    LB_TUNE_LATENCY,
};

/* Set every field to its default with lb_config_init, then change what you need. All pointers are
 * borrowed until lb_engine_close. Zero means "the default" wherever zero makes no sense. */
struct lb_config {
    size_t size LB_OWN_SIZE(lb_config);
    const char *const *listen; /* addresses, NULL-terminated list; see lb_address_check */
    const char *backend;       /* a backend's name, or "auto": the best that works here, or what the
                                  environment's LASTBYTE_BACKEND names (valgrind 3.19 hangs on
                                  io_uring) */
    const struct lb_sink *sink;
    void *sink_context;

    unsigned workers; /* threads; default: one for each core that affinity and the quotas of control
                         groups leave this process; blocking: 64. LB_NO_THREADS: one worker that is
                         no thread, for a loop of the program's own, see lb_engine_turn */
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
    unsigned drain_ms;    /* how long streams under way may go on after a stop, and those of peers
                             that the kernel had accepted for listeners of our own; default 10000;
                             LB_NO_DRAIN for none */

    /* Under load, let bytes gather for at most so many microseconds before receiving: waking up
     * costs more than copying. tune says when that is. Meanwhile streams of small messages have
     * every other one ACKed instead of each. LB_NO_GATHER: off; default 1000. */
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
    unsigned max_time_ms;        /* LB_END_TIMEOUT when its sink is not done so long after accept;
                                    an end that may block is not begun then, nor interrupted */
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

    /* TLS, in a library that was built with it (else -ENOTSUP): every stream comes through it, and
     * only one that its sender has ended in TLS (close_notify) ends as LB_END_EOF; a connection
     * that closes without ends as LB_END_TRUNCATED. cert and key are PEM files: a chain, its own
     * first, and its key; changed files are taken up as peers come, where they can still be read.
     */
    bool tls;
    const char *tls_cert;
    const char *tls_key;
    const char *tls_min; /* "1.2" or "1.3", the default */
    /* Who deciphers what comes: "own", the default, is for TLS 1.3 a reader of our own, which
     * spares processor time; "libssl" is libssl. Neither changes what is taken, said or refused. */
    const char *tls_records;
    /* Who may send; each that is given is another way to be let in, none: everyone. */
    const char *tls_client_ca;   /* a PEM file: whoever has a certificate by one of these */
    const char *const *tls_pins; /* NULL-terminated, sha256//BASE64: whoever has such a key */
    /* A file of lines IDENTITY:HEXKEY that others can't read: whoever has such a key. */
    const char *tls_psk;
    /* A connection's EOF without close_notify counts as its end: anybody on the way can make that.
     * Not with receipt, unless there is a seal. Such streams count in lb_stats.unproven. */
    bool tls_allow_fin;

    /* Preludes, what peers send before their streams (proxy_protocol, tls). One that takes longer
     * is no stream: the peer is turned away. */
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
    unsigned max_streams_per_peer; /* at once, of one address of IPv4, one /64 of IPv6, or one user
                                      of a Unix socket; 0: any number */

    /* Fronts, which say first, by the PROXY protocol (version 1 or 2), for whom they come: that is
     * the peer then, for allow, deny, max_streams_per_peer and lb_stream_peer. A list of networks,
     * as allow, with "unix" for peers of Unix sockets (allow_uids is about the front). One that
     * sends a wrong header, or none within handshake_timeout_ms, is turned away. One that comes for
     * nobody else and closes without a byte of a stream, or that closes without any, as health
     * checks do, is no stream and isn't refused. Others are served as they are. NULL or empty:
     * there are no fronts. */
    const char *const *proxy_protocol;

    /* A connection that closes without a byte, a port check say, is no stream: it opens no sink,
     * has no end and no receipt, counts as empty, and is none of count. It has a place, and its
     * limits hold, while it is there. */
    bool ignore_empty;

    /* Told what a person may want to know; one line without a newline, lent for the call. Called
     * from any thread, one call at a time. NULL for silence. note_level is the least that is told,
     * LB_NOTE_WARNING unless set. */
    enum lb_note_level note_level;
    void (*note)(void *context, enum lb_note_level level, const char *text);
    void *note_context;

    uint64_t tune; /* of enum lb_tune */

    /* The same for a program: what happens, as data, each time. Called as note is, never both at
     * once; must not block, as a worker's streams wait meanwhile. NULL: nothing is told. */
    void (*event)(void *context, const struct lb_engine_event *event);
    void *event_context;
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
#define LB_NO_THREADS UINT32_MAX /* workers */
#define LB_NO_DRAIN UINT32_MAX
#define LB_NO_GATHER UINT32_MAX
#define LB_NO_KEEPALIVE UINT32_MAX

/* Sets every default, and the size. Returns 0, or -EINVAL for a size below the first layout's. [any
 * thread] */
#define lb_config_init(config) lb_config_init_sized((config), sizeof(*(config)))
LB_PUBLIC int lb_config_init_sized(struct lb_config *config, size_t size);

/* The same without knowing the struct, for other languages. lb_config_new: all at its default;
 * NULL: no memory. lb_config_set: a member by its name; numbers in decimal (with a 0 before, in
 * octal), "none" for what an LB_NO_ constant means, "true" or "false"; text is copied, and each of
 * a list's is one more; one of an enum is its number. Callbacks with what belongs to them
 * (note_level), and allow_uids, can't be set so. Returns 0, -EINVAL for what there is not or what
 * it can't be, or -ENOMEM. lb_config_free: after the engine has been closed; may be NULL. Only for
 * configurations of lb_config_new. [any thread] */
LB_PUBLIC struct lb_config *lb_config_new(void);
LB_PUBLIC int lb_config_set(struct lb_config *config, const char *name, const char *text,
                            struct lb_error *error);
LB_PUBLIC int lb_config_set_sink(struct lb_config *config, const struct lb_sink *sink,
                                 void *context);
LB_PUBLIC void lb_config_free(struct lb_config *config);

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
    uint64_t unproven;        /* of ends[LB_END_EOF], those by tls_allow_fin */
    uint64_t empty;    /* connections without a byte, with ignore_empty: accepted, and no streams */
    uint64_t bytes;    /* taken by sinks */
    uint64_t waits;    /* times a worker asked its backend for events */
    uint64_t receives; /* chunks handed to sinks */
    uint64_t starved;  /* times data waited because every slot was in use */
    uint64_t handshaking; /* peers whose preludes run now */
};
#define LB_STATS_INIT LB_SIZE_INIT(lb_stats)

/* Checks the configuration, chooses the backend, binds every address and makes the threads' memory.
 * Nothing is accepted yet, but peers may already queue in the backlog. On success *engine is owned
 * by the caller (lb_engine_close). On failure nothing is left behind.
 * -EINVAL: bad configuration; -ENOSYS, -EPERM, -ENOMEM: the named backend can't run here;
 * -EADDRINUSE and others: an address can't be bound. Blocks. [any thread] */
LB_PUBLIC int lb_engine_open(struct lb_engine **engine, const struct lb_config *config,
                             struct lb_error *error);

/* The index-th bound address as it can be connected to, e.g. "127.0.0.1:41233", with the real port
 * where 0 was asked for; NULL past the last. Owned by the engine. [any thread] */
LB_PUBLIC const char *lb_engine_address(const struct lb_engine *engine, size_t index);

/* Name of the chosen backend. Static. [any thread] */
LB_PUBLIC const char *lb_engine_backend(const struct lb_engine *engine);

/* Starts the threads, once per engine: -EALREADY after that, even if it has failed. Other -errno: a
 * thread could not be made, or worker_open of the sink has failed; the others have been stopped,
 * and what is left is to close. Blocks. [outside] */
LB_PUBLIC int lb_engine_start(struct lb_engine *engine);

/* A loop of the program's own, with workers = LB_NO_THREADS; any backend but blocking. The thread
 * that calls lb_engine_start calls lb_engine_turn, too; sinks, notes and events are called in
 * there, and lb_engine_wait and lb_engine_close turn by themselves there (elsewhere they wait for
 * it). Ends that may block still have a thread of their own, the committer, and nothing else has.
 *
 * lb_engine_fd: readable, for poll, epoll and the like, when there is something to do: after the
 * start, and when a connection, an alarm or another thread's call has come. Level-triggered: it
 * stays so until a turn has done that. Borrowed until lb_engine_close. -EINVAL: this engine has
 * threads. [any thread]
 *
 * lb_engine_turn: does it, some rounds of it at most, so that others in the loop have their turn;
 * waits for at most timeout_ms for the first of it (0: not at all, negative: any time), blocking
 * for that long. (With uring, what completes interrupts other calls that the thread waits in: those
 * that are not restarted then, as epoll_wait, fail with EINTR.) Returns 1, or 0 once the engine has
 * ended, as lb_engine_wait tells; -EINVAL before the start, or with threads; -EPERM from another
 * thread; -EDEADLK from within a turn. [outside] */
LB_PUBLIC int lb_engine_fd(const struct lb_engine *engine);
LB_PUBLIC int lb_engine_turn(struct lb_engine *engine, int timeout_ms);

/* Waits until the engine has ended: count reached, or stopped and drained; every stream has its
 * end by then. Returns 0, or -ETIMEDOUT after timeout_ms (negative: no limit). One thread only.
 * -EINVAL: it was never started. -EDEADLK: called from a sink or a note on one of the engine's own
 * threads, which would wait for itself. Blocks. [outside] */
LB_PUBLIC int lb_engine_wait(struct lb_engine *engine, int timeout_ms);

/* Stops accepting and lets streams under way end for up to drain_ms; a second call ends them at
 * once, as LB_END_STOPPED. [signal] */
LB_PUBLIC void lb_engine_stop(struct lb_engine *engine);

/* Has a stream's sink called, as for a descriptor that is ready: for a sink that has paused, or
 * whose end is in progress, and waits for what another thread does. It is called once at least
 * after this, on its worker's thread, unless the stream has ended by then, or there is none of that
 * number. Returns 0, or -ENOMEM. [any thread] */
LB_PUBLIC int lb_engine_wake(struct lb_engine *engine, uint64_t id);

/* Ends a stream as LB_END_STOPPED, unless its end is on its way; then its sink and its peer are not
 * waited for any longer. One of lb_engine_adopt that has not begun, as it waits for its turn or its
 * preludes run, is turned away as LB_END_STOPPED, "ended", and reaches no sink. No effect if there
 * is none of that number. What it ends has ended some time after it has returned. Returns 0, or
 * -ENOMEM. [any thread] */
LB_PUBLIC int lb_engine_end(struct lb_engine *engine, uint64_t id);

/* Gives the engine a connection that was accepted elsewhere, of TCP or a Unix socket: fd is the
 * engine's from now on, also if the call fails, and then it is closed. It goes to the worker with
 * the fewest; limits, filters, admission, receipts and a stop are as for every other. Beyond
 * max_streams it waits, with 8192 others of its worker at most: more are turned away as
 * LB_END_LIMIT, "max-streams". first are bytes that were read from it already, at most
 * LB_FIRST_MAX: they are copied, and come before what it still holds. *id is its stream's number
 * (of one that is turned away before it begins, nobody's); may be NULL. Works from open on, but
 * before the start nobody looks. O_NONBLOCK is turned off in what others share of it. Returns 0 or
 * -errno: -ESHUTDOWN: the engine has been stopped, or has ended; -EBADF, -ENOTSOCK, -EPROTOTYPE,
 * -EAFNOSUPPORT: no stream socket; -ENOTCONN: none that is or was connected; -EMSGSIZE; -ENOMEM.
 * [any thread] */
LB_PUBLIC int lb_engine_adopt(struct lb_engine *engine, int fd, const void *first,
                              size_t first_size, uint64_t *id);
enum { LB_FIRST_MAX = 64 << 10 };

/* One stream, or a connection that may become one. */
struct lb_stream_info {
    size_t size LB_OWN_SIZE(lb_stream_info);
    uint64_t id;             /* 0: it has none yet */
    uint64_t bytes;          /* taken by its sink */
    uint64_t age_ms;         /* since it came */
    const char *state;       /* for a person: "parked" or "entering" before it begins, "receiving",
                                "throttled", "paused", "cancelled", "ending", "committing", and
                                "answering" once its end is known; static */
    char peer[LB_PEER_SIZE]; /* as lb_stream_peer says */
};
#define LB_STREAM_INFO_INIT LB_SIZE_INIT(lb_stream_info)

/* Fills infos with up to room streams, each worker's newest first; infos[0].size is the size of
 * each. Returns how many there are, which may be more. Blocks until each worker has told of its
 * own, so no longer than a sink does. 0 before the start and after the end. -EDEADLK: from one of
 * the engine's own threads. [outside] */
LB_PUBLIC ssize_t lb_engine_streams(struct lb_engine *engine, struct lb_stream_info *infos,
                                    size_t room);

/* A descriptor that becomes readable, for good, once the last stream has ended: lb_engine_wait
 * returns at once then. Borrowed until lb_engine_close; for poll, not for read. [any thread] */
LB_PUBLIC int lb_engine_end_fd(const struct lb_engine *engine);

/* The index-th listening socket, for another process; an address may have several, one for each
 * worker, so count up to -ENOENT. Borrowed until the engine stops accepting. From now on others may
 * accept from it: the engine closes it in the end, but does not shut it down, nor remove a Unix
 * socket's file.
 *
 * A reload without a lost peer: the new process inherits all of them (without FD_CLOEXEC, or by
 * SCM_RIGHTS), listens on "fd:N" for each, and tells the old one once it has started; the old one
 * calls lb_engine_stop, and serves to their ends the streams that it has. Between the two both
 * accept. (engine/examples/reload.c is one; ask before the fork: -ECHILD in a child.) [outside] */
LB_PUBLIC int lb_engine_listener(struct lb_engine *engine, size_t index);

/* Returns 0 or -EINVAL. [any thread] */
LB_PUBLIC int lb_engine_stats(const struct lb_engine *engine, struct lb_stats *stats);

/* Stops at once if still running, waits, and frees everything. engine may be NULL. Returns 0. From
 * a sink or a note on one of the engine's own threads it can't: -EDEADLK; the engine then stops at
 * once, says so in a note, and is still to be closed, from elsewhere. Blocks. [outside] */
LB_PUBLIC int lb_engine_close(struct lb_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
