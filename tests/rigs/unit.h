/* SPDX-License-Identifier: MIT */
/* What the unit tests share: cmocka with what it needs, and children for what ends a process. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

enum child_fate {
    CHILD_RETURNED,
    CHILD_ASSERTED, /* an assertion failed */
    CHILD_POISONED, /* AddressSanitizer saw it touch what it must not */
    CHILD_OTHER,
};

/* Runs work in a forked child that keeps quiet, and tells how that ended. */
enum child_fate child_run(void (*work)(void *argument), void *argument);

/* The library was built with assertions. */
bool has_assertions(void);

/* It was built with AddressSanitizer. */
bool has_address_sanitizer(void);

/* Misuse must be caught by an assertion, in builds that have them. */
void assert_misuse(void (*work)(void *argument), void *argument);

/* A test that can't run here says so and counts as skipped. */
#define SKIP_IF(condition, reason)                                                                 \
    do {                                                                                           \
        if (condition) {                                                                           \
            print_message("skipped: %s\n", reason);                                                \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

#endif
