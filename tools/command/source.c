/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_sealed(const struct source *source)
{
    return source->seal->kind != LB_SEAL_KINDS;
}

void source_init(struct source *source, struct input *inputs, size_t count, bool seen,
                 const struct source_seal *seal)
{
    *source = (struct source){.inputs = inputs, .count = count, .seal = seal};
    source->seen = seen || is_sealed(source);
}

static void close_input(struct source *source)
{
    if (source->open)
        reader_close(&source->reader);
    source->open = false;
}

void source_close(struct source *source)
{
    close_input(source);
    lb_seal_close(&source->running);
}

/* Goes to the next input. Returns 0, -ENODATA behind the last, or -errno. */
static int advance(struct source *source)
{
    close_input(source);
    if (source->next == source->count)
        return -ENODATA;
    int error = reader_open(&source->reader, &source->inputs[source->next++], UINT64_MAX);
    if (error) {
        source->failed = true;
        return error;
    }
    source->open = true;
    if (source->seen)
        source->reader.by_kernel = false;
    return 0;
}

bool source_by_kernel(const struct source *source)
{
    return source->open && source->reader.by_kernel;
}

int source_fd(const struct source *source)
{
    return source->open ? source->reader.fd : -1;
}

static ssize_t read_content(struct source *source, void *buffer, size_t size)
{
    if (!source->open) {
        int error = advance(source);

        /* Whether it can be read without waiting, or should be sent by the kernel, is known now. */
        return error == -ENODATA ? 0 : error ? error : -EAGAIN;
    }
    ssize_t done = reader_read(&source->reader, buffer, size);
    if (done == 0) {
        close_input(source);
        return source->next == source->count ? 0 : -EAGAIN;
    }
    source->failed = done < 0 && done != -EAGAIN;
    return done;
}

/* Only what came to its end in order gets here: a command that fails is an error. */
static ssize_t end_seal(struct source *source, void *buffer)
{
    if (source->ended)
        return 0;
    source->is_seal = source->ended = true;
    int error = lb_seal_end(&source->running, buffer);
    return error ? error : LB_SEAL_END_SIZE;
}

static ssize_t read_sealed(struct source *source, void *buffer, size_t size)
{
    source->is_seal = !source->begun;
    if (!source->begun) {
        source->begun = true;
        return lb_seal_begin(&source->running, source->seal->kind, &source->seal->key, buffer);
    }
    ssize_t done = read_content(source, buffer, size);
    if (done == 0)
        return end_seal(source, buffer);
    if (done < 0)
        return done;
    int error = lb_seal_add(&source->running, buffer, (size_t)done);
    source->is_seal = error;
    return error ? error : done;
}

ssize_t source_read(struct source *source, void *buffer, size_t size)
{
    if (!is_sealed(source))
        return read_content(source, buffer, size);
    ssize_t done = read_sealed(source, buffer, size);
    source->failed |= done < 0 && source->is_seal;
    return done;
}

ssize_t source_send(struct source *source, int socket)
{
    ssize_t done = reader_send(&source->reader, socket);

    if (done == 0)
        close_input(source);
    source->failed = done == -EIO || done == -ESTALE;
    return done;
}

void source_why(const struct source *source, int error, char *text, size_t size)
{
    char name[LB_QUOTE_SIZE], verdict[100];

    if (source->is_seal) {
        snprintf(text, size, "seal: %s", strerror(-error));
        return;
    }
    const char *why = reader_why(&source->reader, error, verdict, sizeof(verdict));

    if (source->count == 1)
        snprintf(text, size, "%s", why);
    else
        snprintf(text, size, "%.300s: %s", input_name(source->reader.input, name), why);
}
