/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int lb_stream_table_init(struct lb_stream_table *table, size_t state_size, unsigned capacity)
{
    size_t total;

    *table = (struct lb_stream_table){.capacity = capacity};
    if (__builtin_add_overflow(sizeof(struct lb_stream) + 15, state_size, &table->stride))
        return -EOVERFLOW;
    table->stride &= ~(size_t)15;
    if (__builtin_mul_overflow(table->stride, (size_t)capacity, &total))
        return -EOVERFLOW;
    table->base = mmap(NULL, total, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table->base == MAP_FAILED) {
        table->base = NULL;
        return -ENOMEM;
    }
    return 0;
}

void lb_stream_table_done(struct lb_stream_table *table)
{
    if (table->base)
        munmap(table->base, table->stride * table->capacity);
    *table = (struct lb_stream_table){0};
}

struct lb_stream *lb_stream_table_add(struct lb_stream_table *table)
{
    struct lb_stream *stream = table->free;

    if (stream) {
        table->free = stream->next;
        memset(stream, 0, table->stride);
    } else if (table->touched < table->capacity) {
        stream = (struct lb_stream *)(void *)(table->base + table->stride * table->touched++);
    } else {
        return NULL;
    }
    table->used++;
    stream->next = table->live;
    if (table->live)
        table->live->previous = stream;
    table->live = stream;
    return stream;
}

void lb_stream_table_retire(struct lb_stream_table *table, struct lb_stream *stream)
{
    assert(stream->state != LB_STREAM_FREE && table->used > 0);
    stream->state = LB_STREAM_FREE;
    table->used--;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        table->live = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    stream->previous = NULL;
    stream->next = table->retired;
    table->retired = stream;
}

void lb_stream_table_reuse(struct lb_stream_table *table)
{
    struct lb_stream *stream;

    while ((stream = table->retired)) {
        table->retired = stream->next;
        stream->next = table->free;
        table->free = stream;
    }
}

uint64_t lb_stream_id(const struct lb_stream *stream)
{
    return stream->id;
}

uint64_t lb_stream_bytes(const struct lb_stream *stream)
{
    return stream->bytes;
}

const char *lb_stream_why(const struct lb_stream *stream)
{
    return stream->why;
}

int lb_stream_fd(const struct lb_stream *stream)
{
    return stream->conn.fd;
}

void *lb_stream_state(const struct lb_stream *stream)
{
    return (void *)(uintptr_t)stream->sink_state;
}

const char *lb_stream_peer(const struct lb_stream *stream, char name[LB_PEER_SIZE])
{
    return lb_peer_name(&stream->peer, name);
}
