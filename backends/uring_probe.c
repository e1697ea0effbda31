/* SPDX-License-Identifier: MIT */
#include "uring.h"

#include "bufring.h"
#include "error.h"
#include "restrictions.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Linux 6.1: multishot receive (6.0), DEFER_TASKRUN (6.1). */
#define SETUP_FLAGS                                                                                \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |           \
     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE)

static int io_uring_sysctl(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = 0;

    if (file) {
        if (fscanf(file, "%d", &value) != 1)
            value = 0;
        fclose(file);
    }
    return value;
}

static int explain(int rc, struct lb_error *error)
{
    int disabled = io_uring_sysctl();

    if (rc == -EPERM && disabled)
        return lb_error_set(error, rc,
                            "io_uring is disabled by the sysctl kernel.io_uring_disabled=%d; an "
                            "administrator can set it to 0, or use --backend=epoll",
                            disabled);
    if (rc == -EPERM || rc == -EACCES)
        return lb_error_set(error, rc,
                            "io_uring is denied by a seccomp filter or a security policy, as "
                            "containers do by default; allow io_uring_setup, io_uring_enter and "
                            "io_uring_register there, or use --backend=epoll");
    if (rc == -ENOSYS)
        return lb_error_set(error, rc,
                            "this kernel has no io_uring, or a seccomp filter hides it; run on "
                            "Linux 6.1 or newer outside the filter, or use --backend=epoll");
    if (rc == -EINVAL)
        return lb_error_set(error, rc,
                            "this kernel's io_uring is too old; run Linux 6.1 or newer, or use "
                            "--backend=epoll");
    if (rc == -ENOMEM)
        return lb_error_set(error, rc,
                            "io_uring can't get its memory; raise the limit of locked memory "
                            "(ulimit -l), or use --backend=epoll");
    return lb_error_set(error, rc, "io_uring can't be set up: %s; use --backend=epoll",
                        strerror(-rc));
}

/* Runs a function to its end on a thread of its own. When a ring is closed the kernel interrupts
 * every thread that ever made or used it (task work, TWA_SIGNAL), and a receive with a timeout,
 * say, then fails with EINTR. The caller's threads are not ours, so their rings are made elsewhere.
 */
static int run_aside(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, function, argument);

    if (rc == 0)
        pthread_join(thread, NULL);
    return -rc;
}

struct creation {
    struct io_uring *ring;
    unsigned submissions, completions;
    bool polled;
    int rc;
};

static void *create(void *argument)
{
    struct creation *creation = argument;
    struct io_uring_params params = {.flags = SETUP_FLAGS, .cq_entries = creation->completions};

    if (creation->polled)
        params.flags ^= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;
    creation->rc = io_uring_queue_init_params(creation->submissions, creation->ring, &params);
    return NULL;
}

int lb_uring_create(struct io_uring *ring, unsigned submissions, unsigned completions, bool polled,
                    struct lb_error *error)
{
    struct creation creation = {ring, submissions, completions, polled, 0};
    int rc = run_aside(create, &creation);

    if (rc == 0)
        rc = creation.rc;
    return rc < 0 ? explain(rc, error) : 0;
}

/* ---- the self-test --------------------------------------------------------------------------- */

enum { TEST_SLOTS = 4, TEST_ROUNDS = 12 };

struct trial {
    struct io_uring ring;
    struct lb_pool pool;
    struct lb_bufring buffers;
    int sockets[2];
};

static void close_trial(struct trial *trial)
{
    io_uring_queue_exit(&trial->ring);
    lb_bufring_close(&trial->buffers);
    lb_pool_done(&trial->pool);
    close(trial->sockets[0]);
    close(trial->sockets[1]);
}

static int open_trial(struct trial *trial, struct lb_uring_modes modes, struct lb_error *error)
{
    int rc;

    memset(trial, 0, sizeof(*trial));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, trial->sockets) < 0)
        return lb_error_set(error, -errno, "socketpair: %s", strerror(errno));
    rc = lb_uring_create(&trial->ring, 8, 32, false, error);
    if (rc < 0) {
        close(trial->sockets[0]);
        close(trial->sockets[1]);
        return rc;
    }
    rc = lb_pool_init(&trial->pool, 4096, TEST_SLOTS, 0);
    if (rc == 0)
        rc = lb_bufring_open(&trial->buffers, &trial->ring, &trial->pool, modes.incremental);
    if (rc == 0 && modes.restricted)
        rc = lb_uring_restrict(&trial->ring);
    if (rc == 0)
        rc = lb_uring_enable(&trial->ring);
    if (rc < 0) {
        close_trial(trial);
        return explain(rc, error);
    }
    return 0;
}

static void arm(struct trial *trial, struct lb_uring_modes modes)
{
    lb_uring_prep_receive(io_uring_get_sqe(&trial->ring), trial->sockets[1], modes);
}

/* Waits for one completion of the receive. Returns its result, or -ETIME. */
static int next(struct trial *trial, unsigned *flags)
{
    struct __kernel_timespec limit = {.tv_sec = 1};
    struct io_uring_cqe *cqe = NULL;
    int rc;

    lb_bufring_publish(&trial->buffers);
    do {
        rc = io_uring_submit_and_wait_timeout(&trial->ring, &cqe, 1, &limit, NULL);
    } while (rc == -EINTR); /* a profiler's signal, say: no verdict on io_uring */
    if (!cqe)
        return rc < 0 ? rc : -ETIME;
    rc = cqe->res;
    *flags = cqe->flags;
    io_uring_cqe_seen(&trial->ring, cqe);
    return rc;
}

static int send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Bytes that tell their position, from one position of the stream on. */
static uint8_t pattern(size_t position)
{
    return (uint8_t)(position * 131 + position / 4096 * 17);
}

/* Checks one completion's bytes and gives its slots back. */
static bool check_bytes(struct trial *trial, unsigned flags, size_t size, size_t position)
{
    unsigned slot = flags >> IORING_CQE_BUFFER_SHIFT;
    bool right = true;

    while (size > 0) {
        size_t part;
        uint8_t *data = lb_bufring_consume(&trial->buffers, &slot, &size, &part);

        for (size_t i = 0; i < part; i++)
            right &= data[i] == pattern(position++);
        lb_bufring_give_back(&trial->buffers, data, part);
    }
    return right;
}

/* Sends a few sizes around a slot's and checks that they arrive whole, in order, and then EOF. */
static int try_receive(struct trial *trial, struct lb_uring_modes modes)
{
    uint8_t data[3 * 4096];
    size_t sent = 0, received = 0;
    unsigned flags = 0;

    arm(trial, modes);
    for (unsigned round = 0; round < TEST_ROUNDS; round++) {
        size_t size = (round % 3 + 1) * 4096 - round * 5 % 13;

        for (size_t i = 0; i < size; i++)
            data[i] = pattern(sent + i);
        if (send_all(trial->sockets[0], data, size) < 0)
            return -EIO;
        sent += size;
        while (received < sent) {
            int rc = next(trial, &flags);

            if (rc <= 0 || !(flags & IORING_CQE_F_BUFFER))
                return rc < 0 ? rc : -EPROTO;
            if (!check_bytes(trial, flags, (size_t)rc, received))
                return -EBADMSG;
            received += (size_t)rc;
            if (!(flags & IORING_CQE_F_MORE))
                arm(trial, modes);
        }
    }
    shutdown(trial->sockets[0], SHUT_WR);
    return next(trial, &flags) == 0 ? 0 : -EPROTO;
}

static int try_mode(struct lb_uring_modes modes, struct lb_error *error)
{
    struct trial trial;
    int rc = open_trial(&trial, modes, error);

    if (rc < 0)
        return rc;
    /* An old kernel ignores the bit, or refuses it: ask before trusting it. */
    if (modes.bundles && !(trial.ring.features & IORING_FEAT_RECVSEND_BUNDLE))
        rc = -EINVAL;
    else
        rc = try_receive(&trial, modes);
    close_trial(&trial);
    if (rc == -EINVAL)
        return explain(rc, error);
    if (rc < 0)
        return lb_error_set(error, rc, "a test receive failed: %s", strerror(-rc));
    return 0;
}

struct test {
    struct lb_uring_modes modes;
    struct lb_error *error;
    int rc;
};

static void *run_test(void *argument)
{
    struct test *test = argument;

    test->rc = try_mode(test->modes, test->error);
    return NULL;
}

static int self_test(struct lb_uring_modes modes, struct lb_error *error)
{
    struct test test = {modes, error, 0};
    int rc = run_aside(run_test, &test);

    if (rc < 0)
        return lb_error_set(error, rc, "no thread for a test receive: %s", strerror(-rc));
    return test.rc;
}

static pthread_once_t modes_once = PTHREAD_ONCE_INIT;
static struct lb_uring_modes working;
static struct lb_error bundles_error = {LB_ERROR_INIT}, incremental_error = {LB_ERROR_INIT},
                       restricted_error = {LB_ERROR_INIT};

/* A receive into one large slot costs less than one through several of half its size. */
static struct lb_uring_modes cheapest(bool whole_slots)
{
    struct lb_uring_modes chosen = working;

    chosen.incremental &= !whole_slots;
    chosen.bundles &= !chosen.incremental;
    return chosen;
}

/* Bundles and incremental slots each alone, which are older than both together (6.14); the
 * restrictions with what is used of them. */
static void try_modes(void)
{
    const struct lb_uring_modes bundles = {.bundles = true}, incremental = {.incremental = true};
    struct lb_uring_modes restricted;

    working.bundles = self_test(bundles, &bundles_error) == 0;
    working.incremental = self_test(incremental, &incremental_error) == 0;
    restricted = cheapest(false);
    restricted.restricted = true;
    working.restricted = self_test(restricted, &restricted_error) == 0;
}

struct lb_uring_modes lb_uring_modes(void)
{
    pthread_once(&modes_once, try_modes);
    return working;
}

struct lb_uring_modes lb_uring_choose(bool whole_slots)
{
    pthread_once(&modes_once, try_modes);
    return cheapest(whole_slots);
}

void lb_uring_prep_receive(struct io_uring_sqe *sqe, int fd, struct lb_uring_modes modes)
{
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = LB_BUFRING_GROUP;
    if (modes.bundles)
        sqe->ioprio |= IORING_RECVSEND_BUNDLE;
}

static void add_feature(struct lb_probe *probe, const char *name, bool usable, const char *why)
{
    struct lb_feature *feature = &probe->features[probe->count++];

    *feature = (struct lb_feature){LB_FEATURE_INIT, .name = name, .usable = usable};
    if (!usable)
        snprintf(feature->why, sizeof(feature->why), "%.*s", (int)sizeof(feature->why) - 1, why);
}

int lb_uring_probe(struct lb_probe *probe, struct lb_error *error)
{
    struct lb_error why = {LB_ERROR_INIT};
    int rc = self_test((struct lb_uring_modes){0}, &why);

    if (rc < 0)
        lb_error_set(error, rc, "%s", why.text);
    if (probe) {
        add_feature(probe, "multishot_receive", rc == 0, why.text);
        add_feature(probe, "bundles", lb_uring_modes().bundles, bundles_error.text);
        add_feature(probe, "incremental_buffers", lb_uring_modes().incremental,
                    incremental_error.text);
        add_feature(probe, "uring_restrictions", lb_uring_modes().restricted,
                    restricted_error.text);
    }
    return rc;
}
