/* SPDX-License-Identifier: MIT */
#include "key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { RANDOM_DIGITS = 16 };

static bool consists_of(const char *text, const char *more)
{
    for (; *text; text++)
        if (!((*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z') ||
              (*text >= '0' && *text <= '9') || strchr(more, *text)))
            return false;
    return true;
}

bool s3_key_is_mark(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= S3_MARK_MAX && consists_of(text, "._-");
}

bool s3_key_is_prefix(const char *text)
{
    /* A path of "." or ".." is taken apart by clients and proxies. */
    return strlen(text) <= S3_PREFIX_MAX && consists_of(text, "._-/") && *text != '/' &&
           strncmp(text, "./", 2) != 0 && strncmp(text, "../", 3) != 0 && !strstr(text, "/./") &&
           !strstr(text, "/../") && !strstr(text, "//");
}

bool s3_key_is_bucket(const char *text)
{
    size_t size = strlen(text);

    return size >= 3 && size <= 63 && consists_of(text, "._-") && *text != '.' && *text != '-' &&
           !strstr(text, "..");
}

int s3_key_make(char key[S3_NAME_SIZE], const char *prefix, const char *mark)
{
    static atomic_uint_fast64_t sequence;
    struct timespec now;
    struct tm utc;
    uint64_t dice;
    char time[20];

    if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
        return -EIO;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(time, sizeof(time), "%Y%m%dT%H%M%S", &utc);
    snprintf(key, S3_NAME_SIZE, "%s%s.%06ldZ-%06" PRIu64 "-%s-%016" PRIx64, prefix, time,
             now.tv_nsec / 1000, (uint64_t)atomic_fetch_add(&sequence, 1) + 1, mark, dice);
    return 0;
}

/* form has a letter d for each digit. */
static bool skip_form(const char **text, const char *form)
{
    for (; *form; form++, ++*text)
        if (*form == 'd' ? **text < '0' || **text > '9' : **text != *form)
            return false;
    return true;
}

bool s3_key_is_ours(const char *key, const char *prefix, const char *mark)
{
    size_t size = strlen(mark);

    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return false;
    key += strlen(prefix);
    if (!skip_form(&key, "ddddddddTdddddd.ddddddZ-dddddd"))
        return false;
    key += strspn(key, "0123456789");
    return *key == '-' && strncmp(key + 1, mark, size) == 0 && key[size + 1] == '-' &&
           strlen(key + size + 2) == RANDOM_DIGITS &&
           strspn(key + size + 2, "0123456789abcdef") == RANDOM_DIGITS;
}
