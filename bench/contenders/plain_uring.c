/* SPDX-License-Identifier: MIT */
/* The io_uring server that people write first, after liburing's examples: multishot accept,
 * multishot receive into a ring of provided buffers, wait for at least one completion. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUBMISSIONS = 256, COMPLETIONS = 4096, BUFFERS = 64, BUFFER_SIZE = 64 << 10, GROUP = 0 };

struct connection {
    int fd;
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    int listener;
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
};

static struct io_uring_sqe *get_sqe(struct server *server, void *data)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&server->ring);

    while (!sqe) {
        io_uring_submit(&server->ring);
        sqe = io_uring_get_sqe(&server->ring);
    }
    io_uring_sqe_set_data(sqe, data);
    return sqe;
}

static void arm_accept(struct server *server)
{
    struct io_uring_sqe *sqe = get_sqe(server, NULL);

    io_uring_prep_multishot_accept(sqe, server->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, NULL);
}

static void arm_receive(struct server *server, struct connection *connection)
{
    struct io_uring_sqe *sqe = get_sqe(server, connection);

    io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
    io_uring_sqe_set_data(sqe, connection);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
}

static void provide(struct server *server, unsigned buffer)
{
    io_uring_buf_ring_add(server->buffers, server->memory + (size_t)buffer * BUFFER_SIZE,
                          BUFFER_SIZE, (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(server->buffers, 1);
}

static int accepted(struct server *server, const struct io_uring_cqe *cqe)
{
    struct connection *connection;

    if (cqe->res < 0)
        return receiver_fail(server->receiver, "accept", -cqe->res);
    connection = malloc(sizeof(*connection));
    if (!connection)
        return receiver_fail(server->receiver, "out of memory", 0);
    connection->fd = cqe->res;
    tally_begin(server->receiver, &connection->tally);
    arm_receive(server, connection);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept(server);
    return 0;
}

static void received(struct server *server, struct connection *connection,
                     const struct io_uring_cqe *cqe)
{
    if (cqe->res > 0) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

        tally_take(server->receiver, &connection->tally,
                   server->memory + (size_t)buffer * BUFFER_SIZE, (size_t)cqe->res);
        provide(server, buffer);
    }
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS) {
        arm_receive(server, connection);
        return;
    }
    tally_end(server->receiver, &connection->tally, -cqe->res);
    close(connection->fd);
    free(connection);
}

static int serve(struct server *server)
{
    receiver_ready(server->receiver, NULL);
    arm_accept(server);
    while (!receiver_finished(server->receiver)) {
        int rc = io_uring_submit_and_wait(&server->ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;

        if (rc < 0 && rc != -EINTR)
            return receiver_fail(server->receiver, "io_uring_enter", -rc);
        rc = 0;
        io_uring_for_each_cqe(&server->ring, head, cqe)
        {
            struct connection *connection = io_uring_cqe_get_data(cqe);

            count++;
            if (connection)
                received(server, connection, cqe);
            else if (rc == 0)
                rc = accepted(server, cqe);
        }
        io_uring_cq_advance(&server->ring, count);
        if (rc < 0)
            return rc;
    }
    receiver_done(server->receiver);
    return 0;
}

/* As liburing's examples set a ring up. */
static int open_ring(struct io_uring *ring)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };

    return io_uring_queue_init_params(SUBMISSIONS, ring, &parameters);
}

static int register_buffers(struct server *server)
{
    size_t ring_size = BUFFERS * sizeof(struct io_uring_buf);
    struct io_uring_buf_reg registration = {.ring_entries = BUFFERS, .bgid = GROUP};

    server->buffers =
        mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    server->memory = malloc((size_t)BUFFERS * BUFFER_SIZE);
    if (server->buffers == MAP_FAILED || !server->memory)
        return -ENOMEM;
    io_uring_buf_ring_init(server->buffers);
    registration.ring_addr = (uintptr_t)server->buffers;
    for (unsigned i = 0; i < BUFFERS; i++)
        provide(server, i);
    return io_uring_register_buf_ring(&server->ring, &registration, 0);
}

int plain_uring_receive(const struct contender *contender, struct receiver *receiver)
{
    struct server server = {
        .receiver = receiver,
        .listener = receiver_listen(receiver),
        .buffers = MAP_FAILED,
    };
    int rc;

    (void)contender;
    if (server.listener < 0)
        return -1;
    rc = open_ring(&server.ring);
    if (rc < 0)
        return receiver_fail(receiver, "io_uring_queue_init", -rc);
    rc = register_buffers(&server);
    if (rc < 0)
        receiver_fail(receiver, "io_uring_register_buf_ring", -rc);
    else
        rc = serve(&server);
    io_uring_queue_exit(&server.ring);
    if (server.buffers != MAP_FAILED)
        munmap(server.buffers, BUFFERS * sizeof(struct io_uring_buf));
    free(server.memory);
    close(server.listener);
    return rc;
}

const char *plain_uring_missing(const struct contender *contender, char *buffer, size_t size)
{
    struct io_uring ring;
    int rc = open_ring(&ring);

    (void)contender;
    if (rc < 0) {
        snprintf(buffer, size, "io_uring can't be used: %s", strerror(-rc));
        return buffer;
    }
    io_uring_queue_exit(&ring);
    return NULL;
}
