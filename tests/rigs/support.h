/* SPDX-License-Identifier: MIT */
/*
 * What the tests share: deadlines, payloads and their digests, peers. Nothing in here asserts, so
 * that everything may be called from any thread: results are values, 0 or -errno.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <xxhash.h>

#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

/* ---- scale and time ------------------------------------------------------------------------- */

/* LASTBYTE_TEST_SCALE=small: for sanitizers and valgrind. Repetitions shrink, waiting is longer. */
bool scale_small(void);

/* full, or small under the small scale. */
unsigned scale_count(unsigned full, unsigned small);

/* How long a test waits for something that must happen. */
int patience_ms(void);

uint64_t time_now_ns(void);

/* Processor time that this thread has used. */
uint64_t time_thread_ns(void);

/* Sleeps for a moment between two looks at a condition. */
void time_nap(void);

/* ---- the process ---------------------------------------------------------------------------- */

unsigned process_count_fds(void);
unsigned process_count_threads(void);

/* To at least count where the process may, else as far as it may. Returns the limit. */
size_t process_raise_fd_limit(size_t count);

/* Makes a directory under TMPDIR or /tmp. */
int directory_make(char *path, size_t size);
/* Removes it with the plain files in it. */
void directory_remove(const char *path);

/* ---- a gate: closed until it is opened, to be blocked on or to be polled --------------------- */

struct gate {
    int fd; /* readable once the gate is open, and for ever after */
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    atomic_bool open;
};

int gate_init(struct gate *gate);
void gate_done(struct gate *gate);
void gate_open(struct gate *gate);
bool gate_is_open(struct gate *gate);
void gate_wait(struct gate *gate);

/* ---- payloads: bytes that a tag and an offset determine -------------------------------------- */

/* The first eight bytes of a payload are its tag, so that the receiver knows what to expect. */
enum { PAYLOAD_TAG_SIZE = 8 };

void payload_fill(uint64_t tag, uint64_t offset, void *buffer, size_t size);
XXH128_hash_t payload_digest(uint64_t tag, uint64_t size);

/* A small, seeded generator for sizes and orders. */
uint64_t random_next(uint64_t *state);
/* From low to high, both included. */
uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high);

/* ---- peers ---------------------------------------------------------------------------------- */

/* Connects to "127.0.0.1:PORT", "[::1]:PORT" or "unix:PATH". Returns a blocking descriptor whose
 * sends and receives give up (-EAGAIN) after patience_ms, or -errno. */
int peer_connect(const char *address);

/* Begins to connect a non-blocking socket. Returns the descriptor, -EAGAIN when the backlog is full
 * (to be tried again), or -errno. It is connected once it can be written to. */
int peer_connect_begin(const char *address);

/* The name that lb_stream_peer must give for this peer, from its own side of the connection. */
int peer_name(int fd, char *name, size_t size);

/* Sends everything. */
int peer_send(int fd, const void *data, size_t size);

/* Sends the payload's bytes from offset to end, in writes of at most write_size. */
int peer_send_payload(int fd, uint64_t tag, uint64_t offset, uint64_t end, size_t write_size);

/* Receives exactly size bytes: -EPIPE on an early EOF. */
int peer_receive(int fd, void *data, size_t size);

/* Receives and drops until the other side's EOF. */
int peer_await_eof(int fd);

/* TCP: waits until the other side's kernel has everything that was sent. */
int peer_await_acked(int fd);

/* Sends everything, half-closes, waits for the other side's EOF and closes. */
int peer_finish(int fd, const void *data, size_t size);

/* TCP: closes with a reset; or with one behind all that was sent. */
int peer_reset(int fd);
int peer_reset_behind(int fd);

/* A thread that sends a payload in writes of random sizes, half-closes, waits for EOF, closes. */
struct sender {
    pthread_t thread;
    int fd;
    uint64_t tag;
    uint64_t size;
    size_t write_max;
    _Atomic uint64_t sent;
    int result;
};

/* fd is the sender's from now on. On success *sender is to be joined, which frees it. */
int sender_start(struct sender **sender, int fd, uint64_t tag, uint64_t size, size_t write_max);
int sender_join(struct sender *sender);

#endif
