/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <errno.h>
#include <stdio.h>

void source_init(struct source *source, struct input *inputs, size_t count, bool seen)
{
    *source = (struct source){.inputs = inputs, .count = count, .seen = seen};
}

void source_close(struct source *source)
{
    if (source->open)
        reader_close(&source->reader);
    source->open = false;
}

/* Goes to the next input. Returns 0, -ENODATA behind the last, or -errno. */
static int advance(struct source *source)
{
    source_close(source);
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

ssize_t source_read(struct source *source, void *buffer, size_t size)
{
    if (!source->open) {
        int error = advance(source);

        /* Whether it can be read without waiting, or should be sent by the kernel, is known now. */
        return error == -ENODATA ? 0 : error ? error : -EAGAIN;
    }
    ssize_t done = reader_read(&source->reader, buffer, size);
    if (done == 0) {
        source_close(source);
        return source->next == source->count ? 0 : -EAGAIN;
    }
    source->failed = done < 0 && done != -EAGAIN;
    return done;
}

ssize_t source_send(struct source *source, int socket)
{
    ssize_t done = reader_send(&source->reader, socket);

    if (done == 0)
        source_close(source);
    source->failed = done == -EIO || done == -ESTALE;
    return done;
}

void source_why(const struct source *source, int error, char *text, size_t size)
{
    char name[QUOTE_SIZE], verdict[100];
    const char *why = reader_why(&source->reader, error, verdict, sizeof(verdict));

    if (source->count == 1)
        snprintf(text, size, "%s", why);
    else
        snprintf(text, size, "%.300s: %s", input_name(source->reader.input, name), why);
}
