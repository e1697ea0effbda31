/* SPDX-License-Identifier: MIT */
/* The textbook's server, and what becomes of it with a larger buffer. */
#include "changes.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAIVE_SIZE = 1024, TRUNC_SIZE = 1 << 20 };

/* What receives one stream to its end. */
struct way {
    size_t size; /* of its buffer */
    /* Returns 0 for EOF, or an errno. */
    int (*receive)(struct receiver *receiver, struct tally *tally, int fd, void *buffer,
                   size_t size);
};

static int receive_all(struct receiver *receiver, int listener, void *buffer, const struct way *way)
{
    receiver_ready(receiver, NULL);
    while (!receiver_finished(receiver)) {
        struct tally tally;
        int fd = accept(listener, NULL, NULL);

        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0)
            return receiver_fail(receiver, "accept", errno);
        tally_begin(receiver, &tally);
        tally_end(receiver, &tally, way->receive(receiver, &tally, fd, buffer, way->size));
        close(fd);
    }
    receiver_done(receiver);
    return 0;
}

static int serve(struct receiver *receiver, const struct way *way)
{
    int listener = receiver_listen(receiver);
    void *buffer = malloc(way->size);
    int rc = -1;

    if (listener >= 0 && change_socket(listener, receiver->trial->contender->change) < 0)
        rc = receiver_fail(receiver, "changing a socket", errno);
    else if (listener >= 0 && buffer)
        rc = receive_all(receiver, listener, buffer, way);
    else if (listener >= 0)
        receiver_fail(receiver, "out of memory", 0);
    if (listener >= 0)
        close(listener);
    free(buffer);
    return rc;
}

/* ---- the same loop at any size --------------------------------------------------------------- */

static int receive_into(struct receiver *receiver, struct tally *tally, int fd, void *buffer,
                        size_t size)
{
    ssize_t got;

    while ((got = recv(fd, buffer, size, 0)) != 0) {
        if (got > 0)
            tally_take(receiver, tally, buffer, (size_t)got);
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int loop_receive(const struct contender *contender, struct receiver *receiver)
{
    const struct way way = {contender->buffer_size, receive_into};

    return serve(receiver, &way);
}

/* ---- the naive one --------------------------------------------------------------------------- */

struct packet {
    struct packet *next;
    size_t size;
    char data[NAIVE_SIZE];
};

static void free_packets(struct packet *packets)
{
    while (packets) {
        struct packet *next = packets->next;

        free(packets);
        packets = next;
    }
}

/* Every packet becomes an element of a list that holds the whole stream until it has ended. */
static int receive_list(struct receiver *receiver, struct tally *tally, int fd, void *buffer,
                        size_t size)
{
    struct packet *packets = NULL, **tail = &packets;
    int error = 0;
    ssize_t got = 1;

    (void)buffer;
    (void)size;
    while (got != 0 && error == 0) {
        struct packet *packet = malloc(sizeof(*packet));

        got = packet ? recv(fd, packet->data, sizeof(packet->data), 0) : -1;
        if (got > 0) {
            tally_take(receiver, tally, packet->data, (size_t)got);
            packet->size = (size_t)got;
            packet->next = NULL;
            *tail = packet;
            tail = &packet->next;
            continue;
        }
        if (got < 0 && errno != EINTR)
            error = errno;
        free(packet);
    }
    free_packets(packets);
    return error;
}

int naive_receive(const struct contender *contender, struct receiver *receiver)
{
    static const struct way way = {1, receive_list};

    (void)contender;
    return serve(receiver, &way);
}

/* ---- the floor ------------------------------------------------------------------------------- */

/* tcp(7): with MSG_TRUNC the bytes are dropped in the kernel, and never copied. */
static int receive_nothing(struct receiver *receiver, struct tally *tally, int fd, void *buffer,
                           size_t size)
{
    ssize_t got;

    (void)receiver;
    (void)buffer;
    (void)size;
    while ((got = recv(fd, NULL, TRUNC_SIZE, MSG_TRUNC)) != 0) {
        if (got > 0)
            tally->bytes += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

int trunc_receive(const struct contender *contender, struct receiver *receiver)
{
    static const struct way way = {1, receive_nothing};

    (void)contender;
    return serve(receiver, &way);
}
