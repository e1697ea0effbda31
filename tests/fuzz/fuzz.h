/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is one function over bytes: libFuzzer makes them up, and
 * replay.c reads them from files, whatever the compiler is.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The name is libFuzzer's. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Tells what must not be, and aborts: the input is kept by whoever made it up. */
__attribute__((noreturn, format(printf, 1, 2))) void fuzz_fail(const char *format, ...);

/* A copy with a terminating NUL; the caller frees it. An overrun by a byte is seen by
 * AddressSanitizer. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
