/* SPDX-License-Identifier: MIT */
/*
 * The conformance suite: what every backend must do, over every family of sockets, seen through the
 * public header alone. One process tests one backend over one family.
 */
#ifndef SUITE_H
#define SUITE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger.h"
#include "support.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <string.h>

enum family { FAMILY_TCP4 = 1 << 0, FAMILY_TCP6 = 1 << 1, FAMILY_UNIX = 1 << 2 };
enum { FAMILY_TCP = FAMILY_TCP4 | FAMILY_TCP6, FAMILY_ANY = FAMILY_TCP | FAMILY_UNIX };

/* What this process tests. */
struct suite {
    const char *backend;
    enum family family;
    bool no_gathering;
    bool own_loop;       /* a thread of the suite's runs the engine, in a loop of its own */
    bool filtered;       /* what comes in a chunk is not always what a sink is given at once */
    char directory[200]; /* for Unix sockets */
};

extern struct suite suite;

static inline bool suite_is_tcp(void)
{
    return suite.family != FAMILY_UNIX;
}

/* The blocking backend serves one stream per worker at a time. */
bool suite_is_blocking(void);

/* One case; the tables end in a NULL name. */
struct test_case {
    const char *name;
    void (*run)(void **state);
    unsigned families;
    unsigned seconds; /* the watchdog's patience; 0: the usual */
};

extern const struct test_case bytes_cases[], ends_cases[], sinks_cases[], pauses_cases[],
    slow_end_cases[], stops_cases[], limits_cases[], stream_limits_cases[], admission_cases[],
    load_cases[], scenario_cases[], receipts_cases[], descriptors_cases[], answers_cases[],
    decided_cases[], adopted_cases[], forked_cases[], told_cases[], empty_cases[], fronts_cases[],
    bounds_cases[], idle_cases[], wrapped_cases[], events_cases[];

/* What this program runs, ending in NULL; and what it does before each case. */
extern const struct test_case *const suite_tables[];
void suite_reset(void);

/* What every engine of this program is told; where its peers connect to, in place of its address;
 * and the end of that. */
void suite_configure(struct lb_config *config);
const char *suite_front(const char *address);
void suite_leave(void);

/* Is it none of this program's cases? */
bool suite_leaves_out(const char *name);

/* An engine under test with its sink. A case gets one, with the configuration at its defaults. */
struct server {
    const char *name; /* the case's */
    struct lb_config config;
    struct lb_sink sink; /* the ledger's, with the flags that the case sets before server_open */
    struct ledger ledger;
    struct lb_engine *engine;
    const char *address; /* the first, as one connects to it */
    const char *listen[3];
    char path[256];
    pthread_t loop;
    sem_t begun;
    bool looping;
    int started;           /* what lb_engine_start has returned in there */
    unsigned fds, threads; /* before the engine was there */
    struct lb_stats stats; /* server_finish's */
    atomic_uint warned;    /* warnings so far */
    char warnings[2000];   /* a line for each, as much as fits; to be read after server_finish */
};

/* cmocka's fixture for each case. */
int server_setup(void **state);
int server_teardown(void **state);

/* For a case with more than one: a zeroed one with the configuration at its defaults. 0 or -1. */
int server_init(struct server *server, const char *name);

/* What listen says for this suite's family. */
const char *server_listen_address(void);

/* Opens the engine: peers may connect, nothing is accepted. room is how many streams the ledger
 * can note. */
void server_open(struct server *server, size_t room);
void server_start(struct server *server);
void server_begin(struct server *server, size_t room); /* both */

/* A connected blocking socket. */
int server_connect(struct server *server);

struct lb_stats server_stats(struct server *server);

/* Waits until the ledger has noted that many ends. */
void server_await_ends(struct server *server, size_t count);

/* The stream of that tag, which it waits for, or the one with that number in order of opens. */
struct ledger_entry *server_await_tag(struct server *server, uint64_t tag);
struct ledger_entry *server_entry(struct server *server, size_t index);

/* The payload of that tag and size arrived whole, and the stream ended so. */
void server_check_payload(struct server *server, uint64_t tag, uint64_t size, enum lb_end end);
/* The same for the index-th opened stream, whose bytes have no tag. */
void server_check_bytes(struct server *server, size_t index, const void *data, size_t size,
                        enum lb_end end);

/* Stops the engine, waits for its end, checks the statistics against the ledger, closes it, and
 * checks that no descriptor and no thread is left. The case has closed its own by then. */
void server_finish(struct server *server);

/* Closes the engine alone. */
void server_close(struct server *server);

/* Shows what the engine and the ledger know; for failures. */
void server_dump(struct server *server);

/* Fails the case after showing the state. */
void server_give_up(struct server *server, const char *file, int line, const char *format, ...)
    PRINTF_LIKE(4, 5) __attribute__((noreturn));

/* Waits until condition holds, within patience_ms. */
#define AWAIT(server, condition)                                                                   \
    do {                                                                                           \
        const uint64_t deadline_ = time_now_ns() + (uint64_t)patience_ms() * 1000000;              \
        while (!(condition)) {                                                                     \
            if (time_now_ns() > deadline_)                                                         \
                server_give_up(server, __FILE__, __LINE__, "waited in vain: %s", #condition);      \
            time_nap();                                                                            \
        }                                                                                          \
    } while (0)

/* Holds now. */
#define CHECK(server, condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            server_give_up(server, __FILE__, __LINE__, "does not hold: %s", #condition);           \
    } while (0)

/* The call returned 0, not -errno. */
#define CHECK_OK(server, call)                                                                     \
    do {                                                                                           \
        const int result_ = (call);                                                                \
        if (result_ != 0)                                                                          \
            server_give_up(server, __FILE__, __LINE__, "%s: %s", #call, strerror(-result_));       \
    } while (0)

/* Two numbers are the same. */
#define CHECK_SAME(server, left, right)                                                            \
    do {                                                                                           \
        const uint64_t left_ = (uint64_t)(left), right_ = (uint64_t)(right);                       \
        if (left_ != right_)                                                                       \
            server_give_up(server, __FILE__, __LINE__, "%s is %" PRIu64 ", %s is %" PRIu64, #left, \
                           left_, #right, right_);                                                 \
    } while (0)

/* Ends the process with the case's name and the engine's state when a case takes too long. */
void watchdog_start(void);
void watchdog_watch(struct server *server, unsigned seconds);
void watchdog_rest(void);

/* Many peers at once, driven by the calling thread through non-blocking sockets. Each sends the
 * payload of its tag, half-closes, and waits for the server's EOF. */
struct many_peers {
    struct server *server;
    uint64_t first_tag;
    size_t peers;
    size_t at_once;
    uint64_t size_min, size_max; /* a peer's size: between, determined by its tag; at least 8 */
    /* Each peer sends the first half and the second only once this holds. NULL: no such wait. */
    bool (*gate)(struct server *server);
    bool abrupt; /* every third closes right after its last byte */
};

void many_peers_run(const struct many_peers *many);
uint64_t many_peers_size(const struct many_peers *many, uint64_t tag);
/* server_check_payload for each, all eof. */
void many_peers_check(const struct many_peers *many);

#endif
