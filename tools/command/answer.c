/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include "console.h"
#include "patience.h"
#include "temporary.h"
#include "value.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 4096, NS_PER_MS = 1000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool lost;   /* standard output has failed */
static atomic_bool cut;    /* an answer was too long */
static uint64_t total_max; /* bytes that may be held in sum */
static _Atomic uint64_t total;

bool answer_lost(void)
{
    return lost || cut;
}

static void lose(const char *what, int error)
{
    if (!atomic_exchange(&lost, true))
        console_tell("%s: %s; the rest of the answers is dropped", what, strerror(error));
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Waits until a pipe has room for a piece. */
static int await_room(uint64_t deadline_ns)
{
    struct pollfd room = {STDOUT_FILENO, POLLOUT, 0};
    int wait_ms = -1;

    if (deadline_ns) {
        uint64_t now = patience_clock();

        if (now >= deadline_ns)
            return -ETIMEDOUT;
        uint64_t left_ms = (deadline_ns - now) / NS_PER_MS + 1;
        wait_ms = left_ms < INT_MAX ? (int)left_ms : INT_MAX;
    }
    return poll(&room, 1, wait_ms) < 0 && errno != EINTR ? -errno : room.revents != 0;
}

static int write_all(const char *data, size_t size, uint64_t deadline_ns)
{
    bool wait = deadline_ns; /* a write to a pipe may block for ever */

    while (size > 0) {
        int room = wait ? await_room(deadline_ns) : 1;

        if (room < 0)
            return room;
        if (room == 0)
            continue;
        ssize_t done = write(STDOUT_FILENO, data, wait && size > PIECE_SIZE ? PIECE_SIZE : size);
        if (done >= 0) {
            data += done;
            size -= (size_t)done;
        } else if (errno == EAGAIN) {
            wait = true;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* A terminal obeys what it is sent. */
static bool is_terminal(void)
{
    static atomic_int known = -1;

    if (known < 0)
        known = isatty(STDOUT_FILENO);
    return known > 0;
}

static void print(struct answer *answer, const char *data, size_t size)
{
    char quoted[LB_QUOTE_ROOM(PIECE_SIZE)];
    bool quote = is_terminal();
    char last = size ? data[size - 1] : '\n';
    int error = 0;

    answer->quoter.lines = true;
    while (!error && size > 0) {
        size_t piece = quote && size > PIECE_SIZE ? PIECE_SIZE : size;
        size_t room = quote ? lb_quoter_take(&answer->quoter, data, piece, quoted) : piece;

        error = write_all(quote ? quoted : data, room, answer->deadline_ns);
        data += piece;
        size -= piece;
    }
    if (error)
        lose("standard output", -error);
    else if (quote)
        console_foreign(last);
}

/* What a character that never ended has left. */
static void print_rest(struct answer *answer)
{
    char quoted[LB_QUOTE_ROOM(0)];
    size_t size = lb_quoter_finish(&answer->quoter, quoted);

    if (size > 0 && !lost)
        write_all(quoted, size, answer->deadline_ns);
}

/* ---- holding --------------------------------------------------------------------------------- */

int answer_prepare_holding(uint64_t most)
{
    int fd = lb_temporary_open(lb_temporary_directory());

    total_max = most;
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static void hold(struct answer *answer, const char *data, size_t size)
{
    char text[VALUE_TEXT_SIZE];

    if (answer->cut)
        return;
    if (atomic_fetch_add(&total, size) + size > total_max) {
        atomic_fetch_sub(&total, size);
        answer->cut = true;
        cut = true;
        console_tell(
            "%s: its answer is too long to be held (--spool-total=%s); the rest is dropped",
            answer->name, value_size_text(total_max, text));
        return;
    }
    answer->size += size;
    if (!answer->open) {
        answer->held = lb_temporary_open(lb_temporary_directory());
        if (answer->held < 0) {
            lose(lb_temporary_directory(), -answer->held);
            return;
        }
        answer->open = true;
    }
    while (size > 0) {
        ssize_t done = write(answer->held, data, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            lose(lb_temporary_directory(), errno);
            return;
        }
        data += done;
        size -= (size_t)done;
    }
}

static void pass_on(void *context, const char *data, size_t size)
{
    struct answer *answer = context;

    if (lost)
        return;
    if (answer->hold) {
        hold(answer, data, size);
        return;
    }
    console_wipe();
    print(answer, data, size);
}

void answer_write(struct answer *answer, const void *data, size_t size)
{
    if (answer->receipt)
        receipt_line_take(&answer->last, data, size, pass_on, answer);
    else
        pass_on(answer, data, size);
}

bool answer_receipt(struct answer *answer, struct receipt *receipt)
{
    struct receipt_line *last = &answer->last;
    bool come = receipt_read(receipt, last->text, last->size) == 0;

    if (!come && last->size > 0)
        pass_on(answer, last->text, last->size);
    *last = (struct receipt_line){0};
    return come;
}

static void print_held(struct answer *answer)
{
    char block[16384];
    off_t position = 0;

    while (!lost) {
        ssize_t size = pread(answer->held, block, sizeof(block), position);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            lose(lb_temporary_directory(), errno);
        if (size <= 0)
            break;
        print(answer, block, (size_t)size);
        position += size;
    }
}

void answer_finish(struct answer *answer)
{
    if (answer->open) {
        pthread_mutex_lock(&lock);
        console_wipe();
        print_held(answer);
        print_rest(answer);
        pthread_mutex_unlock(&lock);
    } else if (!answer->hold) {
        print_rest(answer);
    }
    answer_drop(answer);
}

void answer_drop(struct answer *answer)
{
    if (answer->open)
        close(answer->held);
    atomic_fetch_sub(&total, answer->size);
    answer->open = answer->cut = false;
    answer->size = 0;
}
