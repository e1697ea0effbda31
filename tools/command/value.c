/* SPDX-License-Identifier: MIT */
#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits from *text and moves it behind them. */
static int read_digits(const char **text, uint64_t *value)
{
    uint64_t sum = 0;

    if (!is_digit(**text))
        return -EINVAL;
    for (; is_digit(**text); (*text)++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(**text - '0'), &sum))
            return -ERANGE;
    }
    *value = sum;
    return 0;
}

int value_count(const char *text, uint64_t *value)
{
    uint64_t count;
    int error = read_digits(&text, &count);

    if (error)
        return error;
    if (*text)
        return -EINVAL;
    *value = count;
    return 0;
}

static const char size_letters[] = "KMGT";

/* Behind a size: a letter, alone or with iB for powers of 1024, with B for those of 1000. */
static int read_unit(const char *text, uint64_t *unit)
{
    const char *letter = strchr(size_letters, *text >= 'a' ? *text - 'a' + 'A' : *text);
    uint64_t step = 1024;

    if (!letter)
        return -EINVAL;
    if (strcmp(text + 1, "B") == 0)
        step = 1000;
    else if (text[1] && strcmp(text + 1, "iB") != 0)
        return -EINVAL;
    *unit = step;
    for (; letter > size_letters; letter--)
        *unit *= step;
    return 0;
}

int value_size(const char *text, uint64_t *bytes)
{
    uint64_t size, unit = 1;
    int error = read_digits(&text, &size);

    if (error)
        return error;
    if (*text && read_unit(text, &unit))
        return -EINVAL;
    if (__builtin_mul_overflow(size, unit, &size))
        return -ERANGE;
    *bytes = size;
    return 0;
}

int value_seconds(const char *text, uint64_t *milliseconds)
{
    uint64_t whole = 0, total;
    uint64_t micro = 0; /* one digit more than needed, to round by */
    bool any = is_digit(*text);

    if (any && read_digits(&text, &whole))
        return -ERANGE;
    if (*text == '.') {
        any = any || is_digit(text[1]);
        uint64_t worth = 100000;
        for (text++; is_digit(*text); text++, worth /= 10)
            micro += (uint64_t)(*text - '0') * worth;
    }
    if (!any || *text)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, 1000, &total) ||
        __builtin_add_overflow(total, (micro + 500) / 1000, &total))
        return -ERANGE;
    *milliseconds = total;
    return 0;
}

static const struct {
    const char *name;
    uint64_t microseconds;
} time_units[] = {{"s", 1000000}, {"ms", 1000}, {"us", 1}};

int value_time(const char *text, uint64_t *microseconds)
{
    uint64_t number, total;

    if (!is_digit(*text))
        return -EINVAL;
    if (read_digits(&text, &number))
        return -ERANGE;
    if (number == 0 && *text == '\0') {
        *microseconds = 0;
        return 0;
    }
    for (size_t i = 0; i < sizeof(time_units) / sizeof(time_units[0]); i++) {
        if (strcmp(text, time_units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, time_units[i].microseconds, &total))
            return -ERANGE;
        *microseconds = total;
        return 0;
    }
    return -EINVAL;
}

int value_mode(const char *text, uint64_t *mode)
{
    size_t digits = strspn(text, "01234567");

    if (digits < 1 || digits > 4 || text[digits])
        return -EINVAL;
    *mode = strtoul(text, NULL, 8);
    return 0;
}

long value_unescape(const char *text, char *bytes, size_t room)
{
    size_t used = 0;

    for (; *text; text++) {
        char byte = *text;

        if (byte == '\\') {
            switch (*++text) {
            case 'n':
                byte = '\n';
                break;
            case 't':
                byte = '\t';
                break;
            case '\\':
                break;
            default:
                return -EINVAL;
            }
        }
        if (used == room)
            return -E2BIG;
        bytes[used++] = byte;
    }
    return (long)used;
}

const char *value_count_text(uint64_t count, char text[VALUE_TEXT_SIZE])
{
    snprintf(text, VALUE_TEXT_SIZE, "%" PRIu64, count);
    return text;
}

const char *value_size_text(uint64_t bytes, char text[VALUE_TEXT_SIZE])
{
    static const char *const suffixes[] = {"", "K", "M", "G", "T"};
    size_t suffix = 0;

    for (; bytes && bytes % 1024 == 0 && suffix < 4; suffix++)
        bytes /= 1024;
    snprintf(text, VALUE_TEXT_SIZE, "%" PRIu64 "%s", bytes, suffixes[suffix]);
    return text;
}

const char *value_seconds_text(uint64_t milliseconds, char text[VALUE_TEXT_SIZE])
{
    snprintf(text, VALUE_TEXT_SIZE, "%.15g", (double)milliseconds / 1000);
    return text;
}

const char *value_time_text(uint64_t microseconds, char text[VALUE_TEXT_SIZE])
{
    size_t unit = 0;

    while (microseconds % time_units[unit].microseconds)
        unit++;
    snprintf(text, VALUE_TEXT_SIZE, "%" PRIu64 "%s", microseconds / time_units[unit].microseconds,
             time_units[unit].name);
    return text;
}

const char *value_mode_text(uint64_t mode, char text[VALUE_TEXT_SIZE])
{
    snprintf(text, VALUE_TEXT_SIZE, "%" PRIo64, mode);
    return text;
}

const char *value_amount_text(double bytes, char text[VALUE_TEXT_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    int decimals = unit == 0 || bytes >= 100 ? 0 : bytes >= 10 ? 1 : 2;
    snprintf(text, VALUE_TEXT_SIZE, "%.*f %s", decimals, bytes,
             unit == 0 && bytes == 1 ? "byte" : units[unit]);
    return text;
}
