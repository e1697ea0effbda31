/* SPDX-License-Identifier: MIT */
/*
 * The best that an io_uring server can be made in one file: multishot accept and receive, a few
 * large slots that receives fill one after the other (incremental buffers; before Linux 6.12,
 * several at a time: bundles), given back once a turn; bytes gather while the thread is short of
 * time, and ACKs of small messages are spared meanwhile.
 *
 * Where it is to do as another did (a schedule), it is a floor under that one: the same wakes and
 * the same ACKs, and nothing of an engine around the copy, or not even the copy (MSG_TRUNC). And it
 * can do one thing otherwise (changes.h).
 */
#include "changes.h"
#include "clock.h"
#include "nap.h"
#include "schedule.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What liburing 2.3 lacks: include/uapi/linux/io_uring.h. The field had no name. */
enum { FEAT_BUNDLE = 1 << 14, RECV_BUNDLE = 1 << 4, RING_INCREMENTAL = 2 };
#ifdef LB_HAVE_BUF_REG_FLAGS
#define RING_FLAGS flags
#else
#define RING_FLAGS pad
#endif

enum {
    SUBMISSIONS = 256,
    COMPLETIONS = 4096,
    GROUP = 0,
    SLOTS = 4, /* in turn: used up and given back in the order of their numbers */
    SLOT_SIZE = 256 << 10,
};

struct connection {
    int fd;
    bool spares; /* ACKs */
    struct tally tally;
};

struct server {
    struct receiver *receiver;
    int listener, receive_flags;
    enum change change;
    struct io_uring ring;
    bool registered; /* the ring's descriptor */
    bool incremental;
    struct io_uring_buf_ring *buffers;
    char *memory;
    size_t used[SLOTS];
    int returned;   /* slots, of this turn */
    unsigned open;  /* streams */
    uint64_t bytes; /* of this turn */
    struct nap nap;
    const struct schedule *schedule; /* NULL: its own naps */
    uint64_t ready_ns;
    size_t step;
    bool small_acks; /* are worth sparing now */
};

/* ---- requests -------------------------------------------------------------------------------- */

static struct io_uring_sqe *get_sqe(struct server *server)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&server->ring);

    while (!sqe) {
        io_uring_submit(&server->ring);
        io_uring_sqring_wait(&server->ring); /* SQPOLL: until the thread has taken some */
        sqe = io_uring_get_sqe(&server->ring);
    }
    return sqe;
}

static void arm_accept(struct server *server)
{
    struct io_uring_sqe *sqe = get_sqe(server);

    io_uring_prep_multishot_accept(sqe, server->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, NULL);
}

static void arm_receive(struct server *server, struct connection *connection)
{
    struct io_uring_sqe *sqe = get_sqe(server);

    io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, server->receive_flags);
    io_uring_sqe_set_data(sqe, connection);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    if (!server->incremental && server->ring.features & FEAT_BUNDLE)
        sqe->ioprio |= RECV_BUNDLE;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void give_back(struct server *server, unsigned slot)
{
    server->used[slot] = 0;
    io_uring_buf_ring_add(server->buffers, server->memory + (size_t)slot * SLOT_SIZE, SLOT_SIZE,
                          (unsigned short)slot, io_uring_buf_ring_mask(SLOTS), server->returned++);
}

static void publish(struct server *server)
{
    io_uring_buf_ring_advance(server->buffers, server->returned);
    server->returned = 0;
}

static void take(struct server *server, struct connection *connection, unsigned slot, size_t size)
{
    nap_spare_acks(connection->fd, &connection->spares, server->small_acks && size <= NAP_SMALL);
    server->bytes += size;
    while (size > 0) {
        size_t room = SLOT_SIZE - server->used[slot], part = size < room ? size : room;
        const char *data = server->memory + (size_t)slot * SLOT_SIZE + server->used[slot];

        if (server->receive_flags & MSG_TRUNC)
            connection->tally.bytes += part;
        else
            tally_take(server->receiver, &connection->tally, data, part);
        server->used[slot] += part;
        size -= part;
        if (server->used[slot] == SLOT_SIZE || !server->incremental)
            give_back(server, slot);
        slot = (slot + 1) % SLOTS;
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

static int accepted(struct server *server, const struct io_uring_cqe *cqe)
{
    struct connection *connection;

    if (cqe->res < 0)
        return receiver_fail(server->receiver, "accept", -cqe->res);
    connection = calloc(1, sizeof(*connection));
    if (!connection)
        return receiver_fail(server->receiver, "out of memory", 0);
    connection->fd = cqe->res;
    server->open++;
    tally_begin(server->receiver, &connection->tally);
    arm_receive(server, connection);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept(server);
    return 0;
}

static void received(struct server *server, struct connection *connection,
                     const struct io_uring_cqe *cqe)
{
    unsigned slot = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    if (cqe->res > 0)
        take(server, connection, slot, (size_t)cqe->res);
    else if (cqe->flags & IORING_CQE_F_BUFFER && !server->incremental)
        give_back(server, slot);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS) {
        arm_receive(server, connection);
        return;
    }
    tally_end(server->receiver, &connection->tally, -cqe->res);
    server->open--;
    close(connection->fd);
    free(connection);
}

static int reap(struct server *server)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    int rc = 0;

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
    return rc;
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* How long this turn gathers. */
static uint64_t decide(struct server *server)
{
    struct schedule_step step;

    if (!server->schedule) {
        server->small_acks = server->nap.ns > 0;
        return server->nap.ns;
    }
    step = schedule_at(server->schedule, clock_now() - server->ready_ns, &server->step);
    server->small_acks = step.spares;
    return step.gather_ns;
}

/* Nothing that completes wakes the sleeper (DEFER_TASKRUN); then about one receive from each. */
static void gather(struct server *server, uint64_t ns)
{
    struct __kernel_timespec none = {0};
    unsigned most = server->open + 1;
    struct io_uring_cqe *cqe;

    io_uring_submit(&server->ring);
    if (io_uring_cq_ready(&server->ring) == 0)
        nap_sleep(ns);
    io_uring_submit_and_wait_timeout(&server->ring, &cqe,
                                     most < COMPLETIONS / 2 ? most : COMPLETIONS / 2, &none, NULL);
}

static int serve(struct server *server)
{
    nap_init(&server->nap);
    server->ready_ns = clock_now();
    receiver_ready(server->receiver, NULL);
    arm_accept(server);
    while (!receiver_finished(server->receiver)) {
        uint64_t ns = decide(server);
        int rc = 0;

        publish(server);
        if (ns)
            gather(server, ns);
        if (io_uring_cq_ready(&server->ring) == 0)
            rc = change_wait(&server->ring, server->change, server->registered);
        if (rc < 0 && rc != -EINTR)
            return receiver_fail(server->receiver, "io_uring_enter", -rc);
        server->bytes = 0;
        if (reap(server) < 0)
            return -1;
        nap_turned(&server->nap, server->bytes);
    }
    receiver_done(server->receiver);
    return 0;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int open_ring(struct server *server)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    int rc;

    change_parameters(&parameters, server->change, server->receiver->trial->cores[RECEIVING]);
    rc = io_uring_queue_init_params(SUBMISSIONS, &server->ring, &parameters);
    if (rc < 0)
        return rc;
    rc = change_ring(&server->ring, server->change);
    if (rc < 0)
        io_uring_queue_exit(&server->ring);
    return rc;
}

static int register_slots(struct server *server)
{
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)server->buffers,
        .ring_entries = SLOTS,
        .bgid = GROUP,
        .RING_FLAGS = RING_INCREMENTAL,
    };
    int rc = io_uring_register_buf_ring(&server->ring, &registration, 0);

    server->incremental = rc == 0;
    if (rc == -EINVAL) { /* before 6.12 */
        registration.RING_FLAGS = 0;
        rc = io_uring_register_buf_ring(&server->ring, &registration, 0);
    }
    return rc;
}

static int set_up_slots(struct server *server)
{
    size_t ring_size = SLOTS * sizeof(struct io_uring_buf);

    server->buffers =
        mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    server->memory = malloc((size_t)SLOTS * SLOT_SIZE);
    if (server->buffers == MAP_FAILED || !server->memory)
        return -ENOMEM;
    io_uring_buf_ring_init(server->buffers);
    for (unsigned i = 0; i < SLOTS; i++)
        give_back(server, i);
    publish(server);
    return register_slots(server);
}

int best_uring_receive(const struct contender *contender, struct receiver *receiver)
{
    struct server server = {
        .receiver = receiver,
        .listener = receiver_listen(receiver),
        .receive_flags = contender->drops ? MSG_TRUNC : 0,
        .change = contender->change,
        .schedule = contender->follows ? receiver->schedule : NULL,
        .buffers = MAP_FAILED,
    };
    int rc;

    if (server.listener < 0)
        return -1;
    rc = open_ring(&server);
    if (rc < 0) {
        close(server.listener);
        return receiver_fail(receiver, "io_uring_queue_init", -rc);
    }
    server.registered = io_uring_register_ring_fd(&server.ring) == 1; /* it may have none */
    rc = set_up_slots(&server);
    if (rc < 0)
        receiver_fail(receiver, "io_uring_register_buf_ring", -rc);
    else
        rc = serve(&server);
    io_uring_queue_exit(&server.ring);
    if (server.buffers != MAP_FAILED)
        munmap(server.buffers, SLOTS * sizeof(struct io_uring_buf));
    free(server.memory);
    close(server.listener);
    return rc;
}
