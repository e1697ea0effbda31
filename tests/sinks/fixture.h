/* SPDX-License-Identifier: MIT */
/*
 * The built-in sinks, driven through the public header alone: a sink is opened by its
 * specification, and receives streams over loopback connections in the calling thread.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <semaphore.h>

enum { KIB = 1024, MIB = 1024 * KIB };

/* Of each test: a directory of its own, and the proof that no descriptor was leaked. */
struct fixture {
    char directory[200];
    unsigned fds;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

#define FIXTURE_TEST(run) cmocka_unit_test_setup_teardown(run, fixture_setup, fixture_teardown)

/* DIRECTORY/NAME, in a buffer that the next calls but three leave alone. */
const char *path_in(const struct fixture *fixture, const char *name);

struct opened {
    const struct lb_sink *sink;
    void *context;
};

/* Opens a sink that must open. The specification is formatted. */
struct opened sink_open(const struct lb_sink_options *options, const char *format, ...)
    PRINTF_LIKE(2, 3);
void sink_close(const struct opened *opened);

/* Expects that the sink is refused with code, and that the message has all of the words, which end
 * in NULL. */
void expect_refused(const struct lb_sink_options *options, int code, const char *specification,
                    const char *const *words);

/* One stream, and what its peer does: sends, does something else, ends, and listens until EOF. */
struct exchange {
    const void *data;
    size_t size;
    int (*before_end)(struct exchange *exchange); /* on the peer's thread; 0 or -errno */
    const void *argument;                         /* for before_end */
    bool reset;                                   /* ends with a reset in place of EOF */
    bool deaf;                                    /* leaves after EOF, and listens to nothing */
    bool late;                                    /* listens once nothing more can be sent to it */
    bool after_end;    /* listens once the stream has ended; little can be sent to it before */
    unsigned fds_left; /* what the process may open; 0: any number */

    /* Filled: */
    int fd;                  /* the peer's */
    int receiver_fd;         /* the other side's */
    sem_t ended;             /* posted when the stream has */
    char peer[LB_PEER_SIZE]; /* its name, as the sink should see it */
    int result;              /* 0, or the -errno that the peer met */
    uint8_t *reply;          /* what it heard */
    size_t reply_size;
    enum lb_end end;
};

/* Runs it to its end, which is returned. LB_END_COUNT: receiving could not begin. */
enum lb_end exchange_run(struct exchange *exchange, const struct opened *opened);
void exchange_free(struct exchange *exchange);

/* Sends the bytes to a sink that is used for this alone. Returns the end. */
enum lb_end send_bytes(const struct opened *opened, const void *data, size_t size);
enum lb_end send_bytes_and_reset(const struct opened *opened, const void *data, size_t size);

/* A payload of the given size that the caller frees. */
uint8_t *payload_make(uint64_t tag, size_t size);

/* A regular file without a name, for sinks to write to. */
int output_make(void);

/* Expects that the descriptor's file holds these bytes, then closes it. */
void expect_output(int fd, const void *data, size_t size);

void expect_file(const char *path, const void *data, size_t size);
void file_write(const char *path, const void *data, size_t size);
bool file_exists(const char *path);

/* Waits until a descriptor takes no more. Returns 0 or -ETIMEDOUT; for any thread. */
int await_full(int fd);

/* Waits until path exists. Returns 0 or -ETIMEDOUT; for any thread. */
int await_file(const char *path);

/* The names in the directory that end in suffix. Copies the last to name, if that is not NULL. */
unsigned count_names(const struct fixture *fixture, const char *suffix, char *name, size_t size);

/* Runs the case with files of this process limited to size bytes: a full disk for anybody. */
void limit_files(uint64_t size);
void unlimit_files(void);

/* The same with this process limited to left more descriptors. */
void limit_fds(unsigned left);
void unlimit_fds(void);

/* Without root's powers until powers_regain. */
void powers_drop(void);
void powers_regain(void);

/* Waits until a stream is under way into the fixture's directory, and the sink has had a byte of
 * it. 0 or -ETIMEDOUT. */
int await_receiving(const struct fixture *fixture);

/* From now on the kernel refuses what older ones and some file systems do not have: O_TMPFILE,
 * renameat2, copy_file_range. For good. False where that can't be arranged. */
bool kernel_grow_old(void);

/* From now on the file systems know neither RENAME_NOREPLACE nor hard links. For good, so for a
 * child process; false where that can't be arranged. */
bool names_forget(void);

extern const struct CMUnitTest output_tests[], file_tests[], left_tests[], exec_tests[],
    guardian_tests[];
extern const size_t output_test_count, file_test_count, left_test_count, exec_test_count,
    guardian_test_count;

#endif
