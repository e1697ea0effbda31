/* SPDX-License-Identifier: MIT */
#include "script_plan.h"

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- the sink -------------------------------------------------------------------------------- */

static unsigned number_of(struct plan *plan, const struct lb_stream *stream)
{
    unsigned number = script_find(plan->script, lb_stream_fd(stream));

    if (number == 0)
        abort();
    return number;
}

static int plan_open(struct lb_stream *stream, void *context)
{
    struct plan *plan = context;
    unsigned number = number_of(plan, stream);

    script_log(plan->script, "open%u ", number);
    if (plan->done[number - 1].opens++)
        script_violate(plan->script, "stream %u was opened twice", number);
    if (lb_stream_bytes(stream) != 0)
        script_violate(plan->script, "stream %u begins with bytes", number);
    return plan->streams[number - 1].open;
}

/* What the stream's sink has, by write and by splice. */
static uint64_t taken_of(const struct plan *plan, unsigned number)
{
    off_t spliced = plan_target < 0 ? 0 : lseek(plan_target, 0, SEEK_END);

    return plan->done[number - 1].taken + (uint64_t)spliced;
}

static void check_bytes(struct plan *plan, unsigned number, uint64_t offset, const uint8_t *data,
                        size_t size)
{
    if (offset != taken_of(plan, number))
        script_violate(plan->script, "stream %u: bytes are miscounted", number);
    for (size_t i = 0; i < size; i++) {
        if (data[i] != script_byte(number, offset + i)) {
            script_violate(plan->script, "stream %u: byte %" PRIu64 " is wrong", number,
                           offset + i);
            return;
        }
    }
}

static ssize_t plan_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct plan *plan = context;
    unsigned number = number_of(plan, stream);
    unsigned call = plan->done[number - 1].writes++;
    long result = call < 6 ? plan->streams[number - 1].writes[call] : TAKE_ALL;

    script_log(plan->script, "write%u:%zu ", number, size);
    check_bytes(plan, number, lb_stream_bytes(stream), data, size);
    if (result < 0)
        return result;
    if (result == TAKE_ALL)
        result = (long)size;
    if (result == TAKE_NONE)
        result = 0;
    if ((size_t)result < size)
        lb_stream_watch(stream, plan->script->streams[number - 1].peer, POLLOUT);
    plan->done[number - 1].taken += (uint64_t)result;
    return result;
}

static int plan_ready(struct lb_stream *stream, void *context)
{
    struct plan *plan = context;
    unsigned number = number_of(plan, stream);
    unsigned call = plan->done[number - 1].readies++;

    script_log(plan->script, "ready%u ", number);
    return call < 4 ? plan->streams[number - 1].readies[call] : 0;
}

static int plan_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct plan *plan = context;
    unsigned number = number_of(plan, stream);
    unsigned call = plan->done[number - 1].ends++;
    int result = call < 4 ? plan->streams[number - 1].ends[call] : 0;

    script_log(plan->script, "end%u:%s ", number, lb_end_name(end));
    if (lb_stream_bytes(stream) != taken_of(plan, number))
        script_violate(plan->script, "stream %u: bytes are miscounted", number);
    if (result == -EINPROGRESS)
        lb_stream_watch(stream, plan->script->streams[number - 1].peer, POLLOUT);
    return result;
}

const struct lb_sink plan_sink = {
    LB_SINK_INIT,        .name = "plan",      .open = plan_open,
    .write = plan_write, .ready = plan_ready, .end = plan_end,
};

const struct lb_sink plan_pausing_sink = {
    LB_SINK_INIT,      .name = "pausing plan", .flags = LB_SINK_MAY_PAUSE,
    .open = plan_open, .write = plan_write,    .ready = plan_ready,
    .end = plan_end,
};

const struct lb_sink plan_slow_sink = {
    LB_SINK_INIT,      .name = "slow plan", .flags = LB_SINK_SLOW_END,
    .open = plan_open, .write = plan_write, .end = plan_end,
};

int plan_target = -1;

static int give_target(struct lb_stream *stream, void *context)
{
    (void)stream;
    (void)context;
    return plan_target;
}

const struct lb_sink plan_target_sink = {
    LB_SINK_INIT,        .name = "target plan", .open = plan_open,
    .write = plan_write, .target = give_target, .end = plan_end,
};

/* ---- the events ------------------------------------------------------------------------------ */

/* The stream's next bytes, really sent. */
static void send_bytes(struct script *script, unsigned number, size_t size)
{
    struct script_stream *stream = &script->streams[number - 1];
    uint8_t *data = malloc(size);

    for (size_t i = 0; data && i < size; i++)
        data[i] = script_byte(number, stream->sent + i);
    if (!data || peer_send(stream->peer, data, size) != 0)
        abort();
    free(data);
    stream->sent += size;
}

static void sleep_ns(int64_t ns)
{
    const struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    nanosleep(&time, NULL);
}

static void check_limit(struct script *script, const struct lb_turn *turn, long limit)
{
    if (turn->accept_limit != (unsigned)limit)
        script_violate(script, "%u streams may be accepted, not %ld", turn->accept_limit, limit);
}

static void wait_for_wake(struct script *script)
{
    if (!script_await_wake(script, patience_ms()))
        script_violate(script, "the worker was not woken");
}

static void wait_for_committed(struct script *script)
{
    uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    struct lb_inbox *inbox = &script->worker.lane.inbox;
    bool back = false;

    while (!back && time_now_ns() < deadline) {
        time_nap();
        pthread_mutex_lock(&inbox->lock);
        back = inbox->first;
        pthread_mutex_unlock(&inbox->lock);
    }
    wait_for_wake(script);
    if (!back)
        script_violate(script, "nothing came back from the committer");
}

static bool is_any_cancelled(const struct script *script)
{
    for (size_t i = 0; i < sizeof(script->streams) / sizeof(script->streams[0]); i++)
        if (script->streams[i].cancelled)
            return true;
    return false;
}

/* On a busy machine it may have passed in an earlier turn; then whom it was for is cancelled. */
static void wait_for_timeout(struct script *script, const struct lb_turn *turn)
{
    if (turn->timeout_ns >= 0)
        sleep_ns(turn->timeout_ns);
    else if (!is_any_cancelled(script))
        script_violate(script, "the turn would wait for ever");
}

/* Steps that are no event. Returns false for one that is. */
static bool act(struct script *script, const struct step *step, const struct lb_turn *turn)
{
    switch (step->type) {
    case STEP_REFUSE:
        (void)!fcntl(plan_target, F_SETFL, O_APPEND);
        return true;
    case STEP_STOP:
        lb_door_stop(&script->door);
        return true;
    case STEP_LIMIT:
        check_limit(script, turn, step->number);
        return true;
    case STEP_ACCEPTING:
        script->status.accepting = step->number;
        return true;
    case STEP_TIMEOUT:
        wait_for_timeout(script, turn);
        return true;
    case STEP_CALL:
        step->call(script);
        return true;
    default:
        return false;
    }
}

static struct lb_event event_of(struct script *script, const struct step *step)
{
    switch (step->type) {
    case STEP_ACCEPT:
        return script_accept(script);
    case STEP_ACCEPT_FAILED:
        return (struct lb_event){.type = LB_EVENT_ACCEPT_FAILED, .error = (int)step->number};
    case STEP_DATA:
        return script_data(script, step->stream, (size_t)step->number);
    case STEP_EOF:
        return script_terminal(script, step->stream, 0);
    case STEP_ERROR:
        return script_terminal(script, step->stream, (int)step->number);
    case STEP_READABLE:
        send_bytes(script, step->stream, (size_t)step->number);
        return script_readable(script, step->stream);
    case STEP_READY:
        return (struct lb_event){.type = LB_EVENT_READY,
                                 .cookie = script->streams[step->stream - 1].cookie};
    case STEP_WAKE:
        wait_for_wake(script);
        return (struct lb_event){.type = LB_EVENT_WAKE};
    case STEP_COMMITTED:
        wait_for_committed(script);
        return (struct lb_event){.type = LB_EVENT_WAKE};
    default:
        abort();
    }
}

static int play(struct script *script, struct lb_event *events, unsigned max,
                const struct lb_turn *turn)
{
    struct plan *plan = script->player;
    int count = 0;

    script->status.accepting = turn->accept_limit > 0;
    if (plan->step == plan->step_count) {
        script_violate(script, "the worker goes on after the last step");
        return -ENOTRECOVERABLE;
    }
    while (plan->step < plan->step_count && count < (int)max) {
        const struct step *step = &plan->steps[plan->step++];

        if (step->type == STEP_TURN)
            break;
        if (step->type == STEP_BROKEN)
            return (int)step->number;
        if (!act(script, step, turn))
            events[count++] = event_of(script, step);
    }
    return count;
}

int rig_setup(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return *state ? 0 : -1;
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;

    script_done(&rig->script);
    free(rig);
    return 0;
}

int rig_init(struct rig *rig, struct script_options options)
{
    rig->plan = (struct plan){.script = &rig->script};
    options.context = &rig->plan;
    if (!options.sink)
        options.sink = &plan_sink;
    if (!options.max_streams)
        options.max_streams = 10;
    return script_init(&rig->script, &options);
}

void rig_leave_places(struct rig *rig, unsigned places)
{
    struct lb_stream_table *table = &rig->script.worker.streams;

    table->touched = table->capacity - places;
}

void rig_run(struct rig *rig, const struct step *steps, size_t count)
{
    rig->plan.steps = steps;
    rig->plan.step_count = count;
    rig->script.play = play;
    rig->script.player = &rig->plan;
    lb_worker_run(&rig->script.worker);
    if (rig->plan.step < count)
        script_violate(&rig->script, "the worker ended before step %zu of %zu", rig->plan.step + 1,
                       count);
    script_check(&rig->script);
}
