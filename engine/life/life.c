/* SPDX-License-Identifier: MIT */
#include "life.h"

#include "clock.h"
#include "door.h"
#include "ending.h"
#include "leaving.h"
#include "news.h"
#include "probes.h"
#include "states.h"
#include "ways.h"

#include <assert.h>
#include <errno.h>

/* ---- ending ---------------------------------------------------------------------------------- */

/* An event is owed by the backend: its end waits for that. */
static void cancel(struct lb_stream *stream, const struct lb_verdict *verdict)
{
    stream->verdict = *verdict;
    lb_state_move(stream, LB_STREAM_CANCELLED);
    stream->lane->backend->cancel(stream->lane->backend_state, &stream->conn);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void start_receiving(struct lb_stream *stream)
{
    if (stream->state != LB_STREAM_RECEIVING)
        lb_state_move(stream, LB_STREAM_RECEIVING);
}

static void receive(struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;

    start_receiving(stream);
    if (stream->flow.way == LB_WAY_CHUNKS && !stream->expected)
        lane->backend->receive(lane->backend_state, &stream->conn, stream->flow.once);
    else
        lane->backend->await(lane->backend_state, &stream->conn);
}

/* So many bytes have come. They are paid for at once: nobody knows whether the stream lives to see
 * another piece, and others share the total. */
static void pay(struct lb_stream *stream, size_t bytes)
{
    struct lb_lane *lane = stream->lane;

    if (lane->rules->throttle && bytes > 0)
        lb_throttle_pay(&lane->throttle, &stream->throttled, bytes, lb_clock_ns());
}

/* On to the next piece, now or when its rate allows. */
static void go_on(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;
    uint64_t now_ns = lane->rules->throttle ? lb_clock_ns() : 0;

    if (!now_ns || lb_throttle_pass(&lane->throttle, &stream->throttled, now_ns)) {
        receive(stream);
        return;
    }
    stream->session.meter.pace.held |= lb_throttle_owes(&stream->throttled, now_ns);
    lb_state_move(stream, LB_STREAM_THROTTLED);
    lb_alarm_set(&lane->alarms, &lane->throttle_alarm, lane->throttle.look_ns);
}

/* The sink has to make room first. */
static void stay_paused(struct lb_stream *stream)
{
    if (stream->state != LB_STREAM_PAUSED)
        lb_state_move(stream, LB_STREAM_PAUSED);
    lb_session_waits(stream);
}

/* The stream's end is decided while it has an event in hand. What its filters have made before goes
 * to the sink first; so it has paused, and nothing more is under way. */
static void end_here(struct lb_stream *stream, const struct lb_verdict *verdict)
{
    struct lb_flow *flow = &stream->flow;

    if (flow->kept.data) {
        assert(flow->once);
        if (flow->held.data)
            lb_stream_give_back(stream, &flow->held);
        flow->over = true;
        stream->verdict = *verdict;
        stay_paused(stream);
        return;
    }
    lb_way_release(stream);
    /* Nobody has asked for more: one by one, or not at all yet. Else the last event may be in the
     * worker's batch already. */
    if (flow->once || flow->first || stream->at_eof)
        lb_leaving_begin(stream, verdict);
    else
        cancel(stream, verdict);
}

/* What moving a piece has led to. */
static void follow(struct lb_stream *stream, enum lb_step step, const struct lb_verdict *verdict)
{
    switch (step) {
    case LB_STEP_ON:
        if (stream->flow.once)
            go_on(stream);
        break;
    case LB_STEP_PAUSE:
        stay_paused(stream);
        break;
    case LB_STEP_OVER:
        end_here(stream, verdict);
        break;
    }
}

/* What somebody has read of it before goes first. Nothing is received meanwhile. */
static void feed_first(struct lb_stream *stream)
{
    struct lb_verdict verdict;
    enum lb_step step = lb_way_first(stream, &verdict);

    if (step == LB_STEP_ON)
        go_on(stream);
    else
        follow(stream, step, &verdict);
}

static void feed(struct lb_stream *stream)
{
    struct lb_verdict verdict;
    enum lb_step step = lb_way_chunk(stream, &verdict);

    follow(stream, step, &verdict);
}

/* PAUSED, and the sink may have room. */
static void resume(struct lb_stream *stream)
{
    struct lb_flow *flow = &stream->flow;
    struct lb_verdict verdict;

    if (!lb_filters_flush(stream, &verdict)) {
        end_here(stream, &verdict);
    } else if (flow->kept.data) {
        stay_paused(stream);
    } else if (flow->over) {
        verdict = stream->verdict;
        lb_leaving_begin(stream, &verdict);
    } else if (flow->first) {
        feed_first(stream);
    } else if (flow->held.data) {
        feed(stream);
    } else {
        go_on(stream);
    }
}

void lb_life_unthrottle(struct lb_lane *lane, uint64_t now_ns)
{
    struct lb_throttled *next;

    for (struct lb_throttled *throttled =
             lb_throttle_look(&lane->throttle, lane->pool.slot_size, now_ns);
         throttled; throttled = next) {
        struct lb_stream *stream = LB_STREAM_OF(throttled, throttled);

        next = throttled->next;
        throttled->next = NULL;
        if (lane->rules->limits.period_ns)
            stream->session.meter.pace.held |= lb_stream_hold(stream, now_ns).held;
        receive(stream);
    }
    if (lane->throttle.first)
        lb_alarm_set(&lane->alarms, &lane->throttle_alarm, lane->throttle.look_ns);
}

/* ---- coming in ------------------------------------------------------------------------------- */

struct lb_stream *lb_life_accept(struct lb_lane *lane, const struct lb_arrival *arrival)
{
    struct lb_stream *stream = lb_stream_table_add(lane->streams);

    if (!stream)
        return NULL;
    stream->conn.fd = arrival->fd;
    stream->listener = arrival->listener;
    if (arrival->id)
        lb_stream_table_promise(lane->streams, stream, arrival->id);
    stream->flow.first = arrival->first;
    stream->begun_ns = lb_clock_ns();
    stream->lane = lane;
    lb_peer_get(&stream->peer, arrival->fd);
    stream->conn.is_unix = stream->peer.family == AF_UNIX;
    lb_state_move(stream, LB_STREAM_PARKED);
    return stream;
}

void lb_life_drop(struct lb_stream *stream)
{
    lb_wire_finish(stream, LB_CLOSING_PLAIN, false);
    lb_leaving_close(stream);
}

/* It leaves those that enter. */
static void entered(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;

    lane->entering--;
    stream->enter_until_ns = 0;
    lb_gate_release_entrance(&lane->door->gate);
    lb_door_look_again(lane->door);
}

/* No stream comes of it: it is in no end, and no part of a count. */
static void fail_to_enter(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;

    entered(stream);
    /* Its prelude has not failed: nobody will come for it, or it never meant to be a stream. */
    if (lane->hurry || lb_gate_finished(&lane->door->gate) || stream->verdict.error == -ENODATA) {
        lb_life_drop(stream);
        return;
    }
    lb_ending_note_refusal(stream);
    lb_news_of_stream(stream, LB_ENGINE_REFUSED);
    /* What the filter has found is told; counted is which it was. */
    stream->verdict.why = lb_filters_prelude(stream);
    lb_outcomes_count(&lane->counters.outcomes, LB_OUTCOME_REFUSED, &stream->verdict);
    lb_wire_finish(stream, LB_CLOSING_RESET, false);
    lb_leaving_close(stream);
}

static void go_on_entering(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;
    const char *why = NULL;
    int rc = lb_filters_enter(stream, &why);

    if (rc == -EAGAIN) {
        lane->backend->await(lane->backend_state, &stream->conn);
    } else if (rc < 0) {
        stream->verdict = lb_verdict_of_receive(rc);
        stream->verdict.why = why;
        fail_to_enter(stream);
    } else {
        entered(stream);
        lb_stream_arm(stream);
        lb_state_move(stream, LB_STREAM_PARKED);
        lb_stream_queue_put(&lane->streams->entered, stream);
    }
}

void lb_life_enter(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;
    int rc;

    lb_state_move(stream, LB_STREAM_ENTERING);
    lane->entering++;
    rc = lb_filters_open(stream);
    if (rc < 0) {
        stream->verdict = (struct lb_verdict){.end = LB_END_ERROR, .error = rc};
        fail_to_enter(stream);
        return;
    }
    stream->enter_until_ns = lb_clock_ns() + lane->rules->handshake_ns;
    lb_stream_arm(stream);
    go_on_entering(stream);
}

static void number(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;
    uint64_t id = stream->given_id;

    if (!id)
        id = atomic_fetch_add(&lane->door->last_id, 1) + 1;
    lb_stream_table_number(lane->streams, stream, id);
    lb_count(&lane->counters.accepted, 1);
}

void lb_life_refuse(struct lb_stream *stream, const struct lb_verdict *verdict)
{
    struct lb_lane *lane = stream->lane;

    number(stream);
    stream->verdict = *verdict;
    LB_PROBE_END(stream->id, 0, stream->verdict.end);
    lb_ending_note_refusal(stream);
    lb_news_of_stream(stream, LB_ENGINE_REFUSED);
    lb_ending_turn_away(stream);
    lb_outcomes_count(&lane->counters.outcomes, LB_OUTCOME_REFUSED_STREAM, &stream->verdict);
    lb_leaving_close(stream);
}

static void open_session(struct lb_stream *stream)
{
    struct lb_verdict verdict;

    stream->expected = false;
    if (!lb_session_open(stream, &verdict)) {
        stream->verdict = verdict;
        lb_leaving_conclude(stream, verdict.error);
        return;
    }
    if (!lb_way_begin(stream, &verdict) || lb_session_is_decided(stream, &verdict)) {
        start_receiving(stream);
        lb_leaving_begin(stream, &verdict);
        return;
    }
    if (stream->flow.first) {
        start_receiving(stream);
        lb_stream_arm(stream);
        pay(stream, stream->flow.first->size);
        feed_first(stream);
        return;
    }
    go_on(stream);
    lb_stream_arm(stream);
}

/* It is no stream before its first byte. */
static void expect(struct lb_stream *stream)
{
    struct lb_verdict verdict;

    if (lb_way_is_begun(stream, &verdict))
        open_session(stream);
    else if (verdict.error != -EAGAIN)
        lb_leaving_begin(stream, &verdict);
    else
        receive(stream);
}

void lb_life_begin(struct lb_stream *stream)
{
    const struct lb_rules *rules = stream->lane->rules;
    struct lb_verdict verdict;

    number(stream);
    stream->lane->under_way++;
    LB_PROBE_ACCEPT(stream->id, stream->conn.fd);
    stream->session.meter.pace.begun_ns = stream->begun_ns;
    if (rules->limits.period_ns)
        lb_meter_begin(&stream->session.meter, &rules->limits, lb_clock_ns());
    if (!lb_filters_begin(stream, &verdict)) {
        stream->verdict = verdict;
        lb_leaving_conclude(stream, verdict.error);
        return;
    }
    stream->expected = rules->ignore_empty && !stream->flow.first;
    if (!stream->expected) {
        open_session(stream);
        return;
    }
    receive(stream);
    lb_stream_arm(stream);
}

/* ---- the backend's events -------------------------------------------------------------------- */

/* What was owed to a stream whose end is decided has come. */
static void cancelled(struct lb_stream *stream)
{
    const struct lb_verdict verdict = stream->verdict;

    if (stream->id)
        lb_leaving_begin(stream, &verdict);
    else
        fail_to_enter(stream);
}

void lb_life_chunk(struct lb_stream *stream, const struct lb_chunk *chunk)
{
    struct lb_flow *flow = &stream->flow;

    flow->held = *chunk;
    flow->taken = 0;
    pay(stream, chunk->size);
    if (stream->state == LB_STREAM_CANCELLED) {
        lb_stream_give_back(stream, &flow->held);
        if (flow->once)
            cancelled(stream);
        return;
    }
    assert(stream->state == LB_STREAM_RECEIVING);
    lb_count(&stream->lane->counters.receives, 1);
    feed(stream);
}

void lb_life_readable(struct lb_stream *stream)
{
    struct lb_verdict verdict;
    enum lb_step step;
    size_t size;

    if (stream->state == LB_STREAM_CANCELLED) {
        cancelled(stream);
        return;
    }
    if (stream->state == LB_STREAM_ENTERING) {
        go_on_entering(stream);
        return;
    }
    assert(stream->state == LB_STREAM_RECEIVING);
    if (stream->expected) {
        expect(stream);
        return;
    }
    step = stream->flow.way == LB_WAY_PLACED ? lb_way_place(stream, &size, &verdict)
                                             : lb_way_splice(stream, &size, &verdict);
    /* A sink that has finished says nothing of what may still come. */
    stream->at_eof = step == LB_STEP_OVER && verdict.end == LB_END_EOF &&
                     stream->session.asked == LB_ASKED_NOTHING;
    if (stream->at_eof)
        lb_ending_judge(stream, &verdict);
    pay(stream, size);
    follow(stream, step, &verdict);
}

void lb_life_terminal(struct lb_stream *stream, int error)
{
    struct lb_verdict verdict = lb_verdict_of_receive(error);

    /* A receive that was cancelled leaves what may come. */
    stream->at_eof = stream->state != LB_STREAM_CANCELLED || error != -ECANCELED;
    if (stream->state == LB_STREAM_CANCELLED) {
        cancelled(stream);
        return;
    }
    if (stream->state == LB_STREAM_ENTERING) {
        stream->verdict = verdict;
        fail_to_enter(stream);
        return;
    }
    assert(stream->state == LB_STREAM_RECEIVING);
    if (error == 0)
        lb_ending_judge(stream, &verdict);
    end_here(stream, &verdict);
}

/* ---- from elsewhere -------------------------------------------------------------------------- */

/* ENDING, and what its end waits for may have come. */
static void go_on_ending(struct lb_stream *stream)
{
    struct lb_verdict failure;

    if (!lb_session_ready(stream, &failure) && stream->verdict.end == LB_END_EOF)
        stream->verdict = failure;
    lb_leaving_try(stream);
}

/* Under way, and its sink may go on. */
static void wake_sink(struct lb_stream *stream)
{
    struct lb_verdict failure;

    if (!lb_session_ready(stream, &failure))
        lb_life_stop(stream, &failure);
    else if (stream->state == LB_STREAM_PAUSED)
        resume(stream);
}

void lb_life_ready(struct lb_stream *stream)
{
    /* The wire's watch is none of the sink's. */
    if (stream->session.watches > 0 && !stream->wire.watch_fd)
        stream->session.watches--;
    lb_life_wake(stream);
}

void lb_life_wake(struct lb_stream *stream)
{
    if (stream->state == LB_STREAM_ANSWERING) {
        lb_leaving_answer(stream);
        return;
    }
    /* The event may be late, and meant for one that was here before. */
    if (stream->state != LB_STREAM_FREE)
        lb_wire_go_on(stream);
    if (stream->state == LB_STREAM_ENDING)
        go_on_ending(stream);
    else if (lb_stream_is_under_way(stream) && !stream->expected)
        wake_sink(stream);
}

/* Each of the deadlines that have come, until one of them has ended the stream. */
void lb_life_alarm(struct lb_stream *stream, uint64_t now_ns)
{
    const struct lb_verdict *passed;
    struct lb_wire *wire = &stream->wire;

    if (stream->state == LB_STREAM_ENTERING && now_ns >= stream->enter_until_ns) {
        lb_wire_give_up(stream);
        cancel(stream, &(struct lb_verdict){.end = LB_END_TIMEOUT, .why = "handshake-timeout"});
        return;
    }
    if (wire->until_ns && now_ns >= wire->until_ns) {
        lb_wire_give_up(stream);
        lb_life_wake(stream);
    }
    passed = lb_stream_look(stream, now_ns);
    if (passed)
        lb_life_stop(stream, passed);
    if ((lb_stream_is_under_way(stream) || stream->state == LB_STREAM_ENDING) &&
        stream->session.alarm_ns && now_ns >= stream->session.alarm_ns) {
        stream->session.alarm_ns = 0;
        lb_life_wake(stream);
    }
    if (lb_stream_waits(stream) && stream->session.doubt_ns && now_ns >= stream->session.doubt_ns)
        lb_session_tell_doubt(stream);
    if (lb_stream_end_by_ns(stream) && now_ns >= lb_stream_end_by_ns(stream))
        lb_life_stop(stream, &lb_limits_max_time);
    if (stream->state != LB_STREAM_FREE)
        lb_stream_arm(stream);
}

void lb_life_committed(struct lb_stream *stream)
{
    assert(stream->state == LB_STREAM_COMMITTING);
    lb_leaving_conclude(stream, stream->end_result);
}

void lb_life_stop(struct lb_stream *stream, const struct lb_verdict *verdict)
{
    switch (stream->state) {
    case LB_STREAM_PAUSED:
        lb_way_release(stream);
        lb_leaving_begin(stream, verdict);
        break;
    case LB_STREAM_ENTERING:
    case LB_STREAM_RECEIVING:
        /* The last event may be in the worker's batch already: it comes all the same, so wait. */
        cancel(stream, verdict);
        break;
    case LB_STREAM_THROTTLED:
        lb_throttle_leave(&stream->lane->throttle, &stream->throttled);
        lb_leaving_begin(stream, verdict);
        break;
    case LB_STREAM_ENDING:
        if (stream->verdict.end == LB_END_EOF)
            stream->verdict = *verdict;
        lb_leaving_try(stream);
        break;
    case LB_STREAM_ANSWERING:
        lb_wire_give_up(stream);
        lb_leaving_answer(stream);
        break;
    case LB_STREAM_FREE:
    case LB_STREAM_PARKED:
    case LB_STREAM_CANCELLED:
    case LB_STREAM_COMMITTING:
    case LB_STREAM_STATES:
        break;
    }
}

void lb_life_abandon(struct lb_stream *stream, int error)
{
    const struct lb_verdict verdict = {.end = LB_END_ERROR, .error = error};

    stream->conn.receiving = false;
    if (stream->state == LB_STREAM_RECEIVING || stream->state == LB_STREAM_CANCELLED ||
        stream->state == LB_STREAM_ENTERING)
        lb_life_terminal(stream, error);
    else
        lb_life_stop(stream, &verdict);
}
