/* SPDX-License-Identifier: MIT */
#include "own_loop.h"

#include "clock.h"
#include "inside.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- the descriptor -------------------------------------------------------------------------- */

void lb_own_loop_init(struct lb_own_loop *loop)
{
    *loop = (struct lb_own_loop){.epoll = -1, .timer = -1};
}

void lb_own_loop_close(struct lb_own_loop *loop)
{
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->timer >= 0)
        close(loop->timer);
    lb_own_loop_init(loop);
}

static int add(const struct lb_own_loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int lb_own_loop_open(struct lb_engine *engine, struct lb_error *error)
{
    struct lb_own_loop *loop = &engine->loop;
    const struct lb_lane *lane = &engine->workers[0].lane;
    int rc;

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    rc = add(loop, loop->timer);
    if (rc == 0)
        rc = add(loop, lane->inbox.wake_fd);
    if (rc == 0)
        rc = add(loop, lane->backend->poll_fd(lane->backend_state));
    if (rc < 0)
        lb_error_set(error, rc, "no descriptor for a loop of the program's own: %s", strerror(-rc));
    return rc;
}

/* Readable again once the earliest alarm is due; what the timer has told is forgotten. */
static void arm(struct lb_own_loop *loop, const struct lb_alarms *alarms)
{
    uint64_t when_ns = lb_alarms_next_ns(alarms);
    struct itimerspec spec = {.it_value = {0}};

    if (when_ns != LB_NEVER) {
        spec.it_value.tv_sec = (time_t)(when_ns / LB_NS_PER_S);
        spec.it_value.tv_nsec = (long)(when_ns % LB_NS_PER_S);
    }
    if (when_ns == loop->armed_ns)
        return;
    loop->armed_ns = when_ns;
    timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

int lb_engine_fd(const struct lb_engine *engine)
{
    return engine && engine->rules.own_loop ? engine->loop.epoll : -EINVAL;
}

/* ---- running --------------------------------------------------------------------------------- */

int lb_own_loop_start(struct lb_engine *engine)
{
    struct lb_worker *worker = &engine->workers[0];
    int rc = lb_inside_start_committer(engine);

    engine->loop.thread = pthread_self();
    engine->running = 1;
    if (rc == 0)
        rc = lb_worker_begin(worker);
    if (rc < 0)
        lb_door_stop_now(&engine->door);
    /* The first turn is due. */
    lb_inbox_wake(&worker->lane.inbox);
    return rc;
}

bool lb_own_loop_is_mine(const struct lb_engine *engine)
{
    return engine->rules.own_loop && atomic_load(&engine->started) &&
           pthread_equal(engine->loop.thread, pthread_self());
}

static int turn(struct lb_engine *engine, int64_t timeout_ns)
{
    const struct lb_engine *before = lb_inside_enter(engine);
    struct lb_worker *worker = &engine->workers[0];
    uint64_t cpu_ns = lb_clock_read(CLOCK_THREAD_CPUTIME_ID);
    bool more = lb_worker_turn(worker, timeout_ns);

    lb_inside_enter(before);
    atomic_fetch_add(&worker->cpu_ns, lb_clock_read(CLOCK_THREAD_CPUTIME_ID) - cpu_ns);
    arm(&engine->loop, &worker->lane.alarms);
    if (!more)
        lb_inside_left(engine);
    return more;
}

/* From the thread that has started it: some backends know their one thread. */
static int check(struct lb_engine *engine)
{
    if (!engine->rules.own_loop || !atomic_load(&engine->started))
        return -EINVAL;
    if (engine->owner != getpid())
        return -ECHILD;
    if (lb_engine_is_inside(engine))
        return lb_engine_refuse_inside(engine, "lb_engine_turn", "return to the loop");
    return lb_own_loop_is_mine(engine) ? 0 : -EPERM;
}

int lb_engine_turn(struct lb_engine *engine, int timeout_ms)
{
    int rc = engine ? check(engine) : -EINVAL;

    if (rc < 0 || engine->running == 0)
        return rc;
    return turn(engine, timeout_ms < 0 ? -1 : timeout_ms * (int64_t)LB_NS_PER_MS);
}

int lb_own_loop_run(struct lb_engine *engine, int timeout_ms)
{
    uint64_t now_ns = lb_clock_ns();
    uint64_t until_ns = timeout_ms < 0 ? LB_NEVER : now_ns + (uint64_t)timeout_ms * LB_NS_PER_MS;

    while (engine->running > 0) {
        int64_t left_ns = until_ns == LB_NEVER ? -1 : (int64_t)(until_ns - now_ns);

        if (turn(engine, left_ns) == 0)
            break;
        now_ns = lb_clock_ns();
        if (now_ns >= until_ns)
            return -ETIMEDOUT;
    }
    return 0;
}
