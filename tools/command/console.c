/* SPDX-License-Identifier: MIT */
#include "console.h"

#include "quote.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char live[256]; /* what stands on the terminal without a newline; empty: nothing */

/* Nobody is left to tell when standard error fails. */
static void write_out(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDERR_FILENO, text, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        text += done;
        size -= (size_t)done;
    }
}

/* Whoever chose the names in a line must not choose what the terminal does. */
static char *make_line(const char *prefix, const char *text)
{
    struct quoter quoter = {0};
    size_t size = strlen(text), used = strlen(prefix);
    char *line = malloc(used + QUOTE_ROOM(size) + 2);

    if (!line)
        return NULL;
    memcpy(line, prefix, used);
    used += quoter_take(&quoter, text, size, line + used);
    used += quoter_finish(&quoter, line + used);
    line[used++] = '\n';
    line[used] = '\0';
    return line;
}

static void print_line(const char *prefix, const char *format, va_list arguments)
{
    char *text = NULL, *line = NULL, *whole = NULL;
    int size = -1;

    if (vasprintf(&text, format, arguments) < 0)
        return;
    line = make_line(prefix, text);
    pthread_mutex_lock(&lock);
    /* One write, so that lines of other processes on this terminal don't mix in. */
    if (line)
        size = asprintf(&whole, "%s%s%s", live[0] ? "\r\033[K" : "", line, live);
    if (size > 0)
        write_out(whole, (size_t)size);
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
    print_line("lastbyte: ", format, arguments);
    va_end(arguments);
}

void console_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
}

void console_live(const char *line)
{
    struct winsize window;
    char drawn[sizeof(live) + 8];

    if (!isatty(STDERR_FILENO)) {
        console_print("%s", line);
        return;
    }
    pthread_mutex_lock(&lock);
    snprintf(live, sizeof(live), "%s", line);
    /* A line that wraps could not be wiped by a carriage return. */
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 &&
        strlen(live) >= window.ws_col)
        live[window.ws_col - 1] = '\0';
    int size = snprintf(drawn, sizeof(drawn), "\r\033[K%s", live);
    write_out(drawn, (size_t)size);
    pthread_mutex_unlock(&lock);
}

void console_wipe(void)
{
    static const char wipe[] = "\r\033[K";

    pthread_mutex_lock(&lock);
    if (live[0])
        write_out(wipe, sizeof(wipe) - 1);
    live[0] = '\0';
    pthread_mutex_unlock(&lock);
}
