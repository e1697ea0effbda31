/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include "address.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

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

void lb_peer_get(union lb_peer *peer, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    memset(peer, 0, sizeof(*peer));
    /* ENOTCONN: the peer has reset already. Its bytes may still be there, its name is not. */
    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0)
        return;
    if (address.ss_family == AF_UNIX) {
        struct ucred credentials = {.pid = -1, .uid = (uid_t)-1};
        socklen_t length = sizeof(credentials);

        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
        peer->un.family = AF_UNIX;
        peer->un.pid = credentials.pid;
        peer->un.uid = (int)credentials.uid;
    } else if (size <= sizeof(*peer)) {
        memcpy(peer, &address, size);
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
    const union lb_peer *peer = &stream->peer;

    switch (peer->family) {
    case AF_INET:
    case AF_INET6:
        lb_sockaddr_name((const struct sockaddr *)peer, name, LB_PEER_SIZE);
        break;
    case AF_UNIX:
        snprintf(name, LB_PEER_SIZE, "unix:pid=%d,uid=%d", peer->un.pid, peer->un.uid);
        break;
    default:
        snprintf(name, LB_PEER_SIZE, "unknown");
    }
    return name;
}
