/* SPDX-License-Identifier: MIT */
#include "leaving.h"

#include "clock.h"
#include "committer.h"
#include "door.h"
#include "ending.h"
#include "news.h"
#include "probes.h"
#include "states.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void lb_leaving_close(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;

    assert(!stream->conn.receiving);
    lb_session_close(stream);
    lb_filters_close(stream);
    lb_wire_close(stream);
    lb_alarm_set(&lane->alarms, &stream->alarm, LB_NEVER);
    /* Of one that only waited for its turn the backend has never heard. */
    if (stream->id || lane->rules->filter_count)
        lane->backend->forget(lane->backend_state, &stream->conn);
    close(stream->conn.fd);
    free(stream->flow.first);
    lb_state_move(stream, LB_STREAM_FREE);
    lb_door_unload(lane->door, lane->index);
    lb_stream_table_retire(lane->streams, stream);
}

/* It was a stream, and counts as one, unless no byte has come. */
static void leave(struct lb_stream *stream)
{
    struct lb_lane *lane = stream->lane;
    bool counts = !stream->expected;

    if (counts)
        lb_outcomes_count(&lane->counters.outcomes, LB_OUTCOME_STREAM, &stream->verdict);
    else
        lb_count(&lane->counters.empty, 1);
    lb_leaving_close(stream);
    lane->under_way--;
    lb_admission_leave(&lane->door->admission, &stream->peer);
    lb_gate_release(&lane->door->gate, counts);
    lb_door_look_again(lane->door);
}

void lb_leaving_answer(struct lb_stream *stream)
{
    if (lb_wire_go_on(stream))
        leave(stream);
}

/* What ends as eof is no end yet: the sink may fail, or refuse. */
static void judge_sink(struct lb_stream *stream, int end_result)
{
    if (stream->verdict.end != LB_END_EOF)
        return;
    if (end_result < 0)
        stream->verdict = lb_session_failed(stream, end_result);
    else
        lb_session_is_decided(stream, &stream->verdict);
}

void lb_leaving_conclude(struct lb_stream *stream, int end_result)
{
    judge_sink(stream, end_result);
    if (stream->end_begun_ns)
        lb_durations_add(&stream->lane->counters.ends, lb_clock_ns() - stream->end_begun_ns);
    LB_PROBE_END(stream->id, lb_stream_bytes(stream), stream->verdict.end);
    lb_ending_note(stream);
    lb_news_of_stream(stream, LB_ENGINE_ENDED);
    lb_state_move(stream, LB_STREAM_ANSWERING);
    lb_ending_answer(stream);
    lb_stream_arm(stream);
    if (!lb_wire_waits(&stream->wire))
        lb_leaving_answer(stream);
}

/* Its sink's end is not done at once. */
static void takes_time(struct lb_stream *stream)
{
    if (!stream->end_begun_ns)
        stream->end_begun_ns = lb_clock_ns();
}

void lb_leaving_try(struct lb_stream *stream)
{
    int rc = lb_session_end(stream);

    if (rc == LB_UNSETTLED)
        rc = lb_session_settle(&stream, 1);
    if (rc != -EINPROGRESS) {
        lb_leaving_conclude(stream, rc);
        return;
    }
    takes_time(stream);
    lb_session_waits(stream); /* its sink hears its alarm again, and has a bound of its own */
}

void lb_leaving_begin(struct lb_stream *stream, const struct lb_verdict *verdict)
{
    struct lb_lane *lane = stream->lane;

    assert(!stream->conn.receiving);
    stream->verdict = *verdict;
    if (stream->expected) {
        lb_ending_note_empty(stream);
        lb_wire_finish(stream, LB_CLOSING_PLAIN, false);
        leave(stream);
    } else if (stream->session.sink->flags & LB_SINK_SLOW_END && lane->committer) {
        lb_state_move(stream, LB_STREAM_COMMITTING);
        takes_time(stream);
        lb_committer_submit(lane->committer, stream);
    } else {
        lb_state_move(stream, LB_STREAM_ENDING);
        lb_leaving_try(stream);
    }
}
