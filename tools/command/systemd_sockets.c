/* SPDX-License-Identifier: MIT */
#include "systemd_sockets.h"

#include "command.h"
#include "console.h"
#include "value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_FD = 3, SOCKETS_MAX = 1024, ADDRESS_SIZE = sizeof("fd:") + 11 };

static const char keyword[] = "systemd";

struct sockets {
    size_t count;
    const char *names;  /* with colons between, or NULL */
    const char **words; /* the new list */
    char (*addresses)[ADDRESS_SIZE];
};

/* How many there are. Variables for another process, say our parent, say nothing about us. */
static size_t count_sockets(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t value;

    if (!pid || value_count(pid, &value) || value != (uint64_t)getpid())
        return 0;
    return count && value_count(count, &value) == 0 && value <= SOCKETS_MAX ? value : 0;
}

static int close_on_exec(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC) < 0) {
            console_tell("LISTEN_FDS=%zu: descriptor %d: %s; whoever started this process should "
                         "hand it down",
                         count, FIRST_FD + (int)i, strerror(errno));
            return STATUS_NO_START;
        }
    }
    return STATUS_OK;
}

/* The index-th of names; one that is missing is "unknown" (sd_listen_fds_with_names(3)). */
static bool is_called(const struct sockets *sockets, size_t index, const char *name)
{
    const char *next = sockets->names;

    for (; next && index > 0; index--) {
        next = strchr(next, ':');
        next = next ? next + 1 : NULL;
    }
    if (!next)
        return strcmp(name, "unknown") == 0;
    return strcspn(next, ":") == strlen(name) && strncmp(next, name, strlen(name)) == 0;
}

/* Adds those called name to the words, or all if it is NULL. Returns how many. */
static size_t add_sockets(const struct sockets *sockets, struct option_list *list, const char *name)
{
    size_t before = list->count;

    for (size_t i = 0; i < sockets->count; i++)
        if (!name || is_called(sockets, i, name))
            list->words[list->count++] = sockets->addresses[i];
    return list->count - before;
}

static bool is_keyword(const char *word)
{
    return strncmp(word, keyword, strlen(keyword)) == 0 &&
           (word[strlen(keyword)] == ':' || word[strlen(keyword)] == '\0');
}

static int tell_none(const struct sockets *sockets, const char *word)
{
    if (sockets->count == 0)
        console_tell("--listen=%s: no socket was handed down to this process (LISTEN_PID, "
                     "LISTEN_FDS); start it from a systemd socket unit",
                     word);
    else
        console_tell("--listen=%s: no socket of that name was handed down; LISTEN_FDNAMES=%s", word,
                     sockets->names ? sockets->names : "");
    return STATUS_NO_START;
}

static int replace(const struct sockets *sockets, struct option_list *list)
{
    struct option_list result = {.words = sockets->words};

    for (size_t i = 0; i < list->count; i++) {
        const char *word = list->words[i];
        const char *name = word + strlen(keyword);

        if (!is_keyword(word))
            result.words[result.count++] = word;
        else if (add_sockets(sockets, &result, *name ? name + 1 : NULL) == 0)
            return tell_none(sockets, word);
    }
    if (list->count == 0)
        add_sockets(sockets, &result, NULL);
    /* The longer list takes the place of the one that options_read has made. */
    free(list->words);
    *list = result;
    return STATUS_OK;
}

/* One block, so that whoever frees the words frees the addresses. */
static int make_words(struct sockets *sockets, const struct option_list *list)
{
    size_t words = (list->count + 1) * (sockets->count + 1);

    sockets->words = calloc(1, words * sizeof(*sockets->words) + sockets->count * ADDRESS_SIZE);
    if (!sockets->words) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    sockets->addresses = (char(*)[ADDRESS_SIZE])(void *)(sockets->words + words);
    for (size_t i = 0; i < sockets->count; i++)
        snprintf(sockets->addresses[i], ADDRESS_SIZE, "fd:%d", FIRST_FD + (int)i);
    return STATUS_OK;
}

int systemd_sockets_take(struct option_list *list)
{
    struct sockets sockets = {.count = count_sockets(), .names = getenv("LISTEN_FDNAMES")};
    int status = close_on_exec(sockets.count);

    if (status == STATUS_OK)
        status = make_words(&sockets, list);
    if (status == STATUS_OK && replace(&sockets, list)) {
        free(sockets.words);
        status = STATUS_NO_START;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return status;
}
