/* SPDX-License-Identifier: MIT */
#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of options, read strictly: no sign, no blanks, nothing behind. Each returns 0, -EINVAL
 * when text has another form, or -ERANGE when the number does not fit; *value is then untouched. */

/* A whole number. */
int value_count(const char *text, uint64_t *value);

/* A whole number of bytes, or with a unit behind it: K, M, G, T or KiB, MiB, GiB, TiB for 1024 to
 * the power of 1 to 4; KB, MB, GB, TB for 1000. The first letter may be small. */
int value_size(const char *text, uint64_t *bytes);

/* Seconds with or without a fraction; stored in milliseconds, rounded to the nearest. */
int value_seconds(const char *text, uint64_t *milliseconds);

/* A whole number of us, ms or s, "500us"; a bare 0 needs no unit. Stored in microseconds. */
int value_time(const char *text, uint64_t *microseconds);

/* Permissions: 1 to 4 octal digits. */
int value_mode(const char *text, uint64_t *mode);

/* Copies text to bytes with \n, \t and \\ resolved, without a terminating NUL. Returns the number
 * of bytes, -EINVAL for any other escape, or -E2BIG for more than room. */
long value_unescape(const char *text, char *bytes, size_t room);

enum { VALUE_TEXT_SIZE = 32 };

/* Write a value the way it is read: 262144 as "256K"; 1500 as "1.5"; 2000 as "2ms". Return text. */
const char *value_count_text(uint64_t count, char text[VALUE_TEXT_SIZE]);
const char *value_size_text(uint64_t bytes, char text[VALUE_TEXT_SIZE]);
const char *value_seconds_text(uint64_t milliseconds, char text[VALUE_TEXT_SIZE]);
const char *value_time_text(uint64_t microseconds, char text[VALUE_TEXT_SIZE]);
const char *value_mode_text(uint64_t mode, char text[VALUE_TEXT_SIZE]);

/* Writes an amount of bytes for a person: "17 bytes", "1.25 GiB". Returns text. */
const char *value_amount_text(double bytes, char text[VALUE_TEXT_SIZE]);

#endif
