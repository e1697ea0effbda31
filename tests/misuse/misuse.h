/* SPDX-License-Identifier: MIT */
/* Misuse of the library by a program: an error value in every build, never a crash or silence. Only
 * the public header is used, so that the same tests run against the static and the shared one. */
#ifndef MISUSE_H
#define MISUSE_H

#include <lastbyte/lastbyte.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One call that is wrong, what it returned and what it must return. */
struct row {
    const char *function;
    const char *misuse;
    int64_t returned, expected;
};

#define ROW(function, misuse, call, expected)                                                      \
    {                                                                                              \
#function, misuse, (int64_t)(intptr_t)(call), expected                                     \
    }

void check_rows(const struct row *rows, size_t count);
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* For a call that tells why: told(lb_x(..., ask())) is what the call returned, or UNTOLD if the
 * error doesn't hold that and a text. */
enum { UNTOLD = -100000 };
struct lb_error *ask(void);
int64_t told(int64_t returned);

/* A sink that takes everything, and a configuration that uses it on a free port. */
extern const struct lb_sink honest_sink;
struct lb_config honest_config(void);

extern const struct CMUnitTest calls_tests[], structs_tests[], callbacks_tests[];
extern const size_t calls_count, structs_count, callbacks_count;

#endif
