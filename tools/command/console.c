/* SPDX-License-Identifier: MIT */
#include "console.h"

#include "quote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    QUEUE_MAX = 256 * 1024,  /* bytes of lines that may be dropped */
    PATIENCE_MS = 2000,      /* with a reader who reads nothing */
    PATIENCE_MAX_MS = 10000, /* with one who does */
    WIPER_SIZE = 40
};

struct line {
    struct line *next;
    size_t size;
    char text[];
};

struct queue {
    struct line *first, *last;
    size_t bytes;
};

enum kind { PLAIN, FIRST, LASTING };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static pthread_cond_t written; /* on the monotonic clock */
static char live[16384];       /* what stands on the terminal without a newline; empty: nothing */
static bool torn;              /* somebody else's line stands there unended */
static struct queue going, waiting;
static bool holding;       /* lines wait for console_release */
static bool threaded;      /* there is a thread that writes */
static bool busy;          /* it has a line in hand */
static unsigned long done; /* lines that it has written */
static unsigned long lost; /* lines that found no place, and are not told of yet */

/* ---- writing --------------------------------------------------------------------------------- */

/* Nobody is left to tell when standard error fails. */
static void write_out(const char *text, size_t size, int patience_ms)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

    while (size > 0) {
        ssize_t put = write(STDERR_FILENO, text, size);

        if (put < 0 && errno == EINTR)
            continue;
        /* Whoever shares it with us has made it non-blocking. */
        if (put < 0 && errno == EAGAIN && poll(&room, 1, patience_ms) != 0)
            continue;
        if (put <= 0)
            return;
        text += put;
        size -= (size_t)put;
    }
}

static void put(struct queue *queue, const char *text, size_t size)
{
    struct line *line = malloc(sizeof(*line) + size);

    if (!line) {
        lost++;
        return;
    }
    *line = (struct line){.size = size};
    memcpy(line->text, text, size);
    if (queue->first)
        queue->last->next = line;
    else
        queue->first = line;
    queue->last = line;
    queue->bytes += size;
}

static struct line *take(struct queue *queue)
{
    struct line *line = queue->first;

    queue->first = line->next;
    queue->bytes -= line->size;
    return line;
}

static void put_lost(struct queue *queue)
{
    char text[100];
    int size = snprintf(text, sizeof(text),
                        "lastbyte: %lu lines are missing here: nobody was reading them\n", lost);

    lost = 0;
    put(queue, text, (size_t)size);
}

/* Under the lock. One write for each, so that lines of other processes on this terminal don't mix
 * in. */
static void emit(const char *text, size_t size, enum kind kind)
{
    struct queue *queue = holding && kind != FIRST ? &waiting : &going;

    if (!threaded && !holding) {
        write_out(text, size, PATIENCE_MS);
        return;
    }
    if (kind == PLAIN && queue->bytes + size > QUEUE_MAX) {
        lost++;
        return;
    }
    if (lost > 0)
        put_lost(queue);
    put(queue, text, size);
    pthread_cond_signal(&filled);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *write_lines(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct line *line;

        while (!going.first)
            pthread_cond_wait(&filled, &lock);
        line = take(&going);
        busy = true;
        pthread_mutex_unlock(&lock);
        write_out(line->text, line->size, -1);
        free(line);
        pthread_mutex_lock(&lock);
        busy = false;
        done++;
        pthread_cond_broadcast(&written);
    }
    return NULL;
}

void console_hold(void)
{
    holding = true;
}

int console_begin(void)
{
    pthread_condattr_t monotonic;
    pthread_attr_t detached;
    sigset_t all, before;
    pthread_t thread;
    int rc;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&written, &monotonic);
    pthread_condattr_destroy(&monotonic);
    /* It may be in a write that never returns when the process ends. */
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &detached, write_lines, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    threaded = rc == 0;
    return -rc;
}

void console_release(void)
{
    pthread_mutex_lock(&lock);
    holding = false;
    while (waiting.first) {
        struct line *line = take(&waiting);

        emit(line->text, line->size, LASTING);
        free(line);
    }
    pthread_mutex_unlock(&lock);
}

static struct timespec from_now(int ms)
{
    struct timespec when;

    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += ms / 1000;
    return when;
}

void console_end(void)
{
    const struct timespec last = from_now(PATIENCE_MAX_MS);
    int rc = 0;

    console_release();
    pthread_mutex_lock(&lock);
    if (lost > 0)
        put_lost(&going);
    pthread_cond_signal(&filled);
    while (threaded && rc == 0 && (going.first || busy)) {
        const struct timespec soon = from_now(PATIENCE_MS);
        unsigned long before = done;

        while (rc == 0 && done == before)
            rc = pthread_cond_timedwait(&written, &lock, soon.tv_sec < last.tv_sec ? &soon : &last);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Whoever chose the names in a line must not choose what the terminal does. */
static char *make_line(const char *prefix, const char *text)
{
    struct lb_quoter quoter = {0};
    size_t size = strlen(text), used = strlen(prefix);
    char *line = malloc(used + LB_QUOTE_ROOM(size) + 2);

    if (!line)
        return NULL;
    memcpy(line, prefix, used);
    used += lb_quoter_take(&quoter, text, size, line + used);
    used += lb_quoter_finish(&quoter, line + used);
    line[used++] = '\n';
    line[used] = '\0';
    return line;
}

/* What wipes the live lines and leaves the cursor where they began. */
static const char *wiper(char text[WIPER_SIZE])
{
    size_t rows = 0;

    for (const char *line = live; (line = strchr(line, '\n')); line++)
        rows++;
    if (!live[0])
        text[0] = '\0';
    else if (rows)
        snprintf(text, WIPER_SIZE, "\r\033[%zuA\033[J", rows);
    else
        snprintf(text, WIPER_SIZE, "\r\033[K");
    return text;
}

static void print_line(enum kind kind, const char *prefix, const char *format, va_list arguments)
{
    char *text = NULL, *line = NULL, *whole = NULL, wipe[WIPER_SIZE];
    int size = -1;

    if (vasprintf(&text, format, arguments) < 0)
        return;
    line = make_line(prefix, text);
    pthread_mutex_lock(&lock);
    if (line)
        size = asprintf(&whole, "%s%s%s", wiper(wipe), line, live);
    if (size > 0)
        emit(whole, (size_t)size, kind);
    pthread_mutex_unlock(&lock);
    if (size >= 0)
        free(whole);
    free(line);
    free(text);
}

void console_tell(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(PLAIN, "lastbyte: ", format, arguments);
    va_end(arguments);
}

void console_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(LASTING, "", format, arguments);
    va_end(arguments);
}

void console_first(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(FIRST, "", format, arguments);
    va_end(arguments);
}

static void print_plain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(PLAIN, "", format, arguments);
    va_end(arguments);
}

/* ---- live lines ------------------------------------------------------------------------------ */

/* Where they can be drawn: a terminal that understands how. */
static bool has_window(struct winsize *window)
{
    const char *kind = getenv("TERM");

    if (!isatty(STDERR_FILENO) || !kind || strcmp(kind, "dumb") == 0)
        return false;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, window) < 0 || window->ws_col < 2)
        *window = (struct winsize){.ws_row = 24, .ws_col = 80};
    return true;
}

unsigned console_columns(void)
{
    struct winsize window;

    /* One less: a full line may have wrapped, and could not be wiped. */
    return has_window(&window) ? window.ws_col - 1u : 0;
}

unsigned console_rows(void)
{
    struct winsize window;

    return has_window(&window) && window.ws_row > 4 ? window.ws_row - 3u : 1;
}

bool console_has_colour(void)
{
    const char *none = getenv("NO_COLOR");

    return !none || !none[0];
}

void console_live(const char *lines)
{
    static char drawn[sizeof(live) + WIPER_SIZE];
    struct winsize window;
    char wipe[WIPER_SIZE];

    if (!has_window(&window)) {
        print_plain("%s", lines);
        return;
    }
    pthread_mutex_lock(&lock);
    wiper(wipe);
    /* What is late comes with the next line. */
    if (!torn && !going.first) {
        snprintf(live, sizeof(live), "%s", lines);
        int size = snprintf(drawn, sizeof(drawn), "%s%s", wipe, live);
        emit(drawn, (size_t)size, PLAIN);
    }
    pthread_mutex_unlock(&lock);
}

void console_wipe(void)
{
    char wipe[WIPER_SIZE];

    pthread_mutex_lock(&lock);
    if (live[0])
        emit(wiper(wipe), strlen(wiper(wipe)), LASTING);
    live[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void console_foreign(char last)
{
    pthread_mutex_lock(&lock);
    torn = last != '\n';
    pthread_mutex_unlock(&lock);
}
