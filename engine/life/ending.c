/* SPDX-License-Identifier: MIT */
#include "ending.h"

#include "clock.h"
#include "door.h"
#include "receipt.h"

#include <stdio.h>

void lb_ending_note(const struct lb_stream *stream)
{
    struct lb_notes *notes = stream->lane->notes;
    const struct lb_verdict *verdict = &stream->verdict;
    enum lb_note_level level = verdict->end == LB_END_EOF ? LB_NOTE_DETAIL : LB_NOTE_WARNING;
    const char *why = lb_verdict_text(verdict);
    char peer[LB_PEER_SIZE];

    if (!lb_notes_wants(notes, level))
        return;
    lb_note(notes, level, "stream %llu from %s: %s after %llu bytes%s%s%s",
            (unsigned long long)stream->id, lb_stream_peer(stream, peer), lb_end_name(verdict->end),
            (unsigned long long)lb_stream_bytes(stream), why ? " (" : "", why ? why : "",
            why ? ")" : "");
}

void lb_ending_note_refusal(const struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;
    char peer[LB_PEER_SIZE], name[32] = "a peer", more[80] = "";
    const char *prelude = NULL;
    uint64_t untold;

    if (!lb_notes_wants(lane->notes, LB_NOTE_WARNING) ||
        !lb_hush_tells(&lane->door->refusals, lb_clock_ns(), LB_NS_PER_S, &untold))
        return;
    if (stream->id)
        snprintf(name, sizeof(name), "stream %llu", (unsigned long long)stream->id);
    else
        prelude = lb_filters_prelude(stream);
    if (untold)
        snprintf(more, sizeof(more), ", and %llu more since the last such line",
                 (unsigned long long)untold);
    lb_note(lane->notes, LB_NOTE_WARNING, "%s from %s: %s: turned away (%s%s%s)%s", name,
            lb_stream_peer(stream, peer), lb_end_name(stream->verdict.end), prelude ? prelude : "",
            prelude ? ": " : "", lb_verdict_text(&stream->verdict), more);
}

/* Its receipt is a line of its own, behind whatever the peer was told. */
static void say_receipt(struct lb_stream *stream)
{
    char line[1 + LB_RECEIPT_SIZE] = "\n";
    size_t before = stream->wire.mid_line;
    size_t size = before + lb_receipt_write(stream, line + before);

    lb_filters_tell(stream, line, size);
}

void lb_ending_answer(struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;
    bool complete = stream->verdict.end == LB_END_EOF;
    enum lb_closing closing = LB_CLOSING_RESET;

    if (stream->borrowed || (complete && stream->at_eof))
        closing = LB_CLOSING_PLAIN;
    else if (complete || lb_receipt_wanted(lane))
        closing = LB_CLOSING_DRAIN;
    lb_wire_finish(stream, closing, !lane->hurry);
    if (lb_receipt_wanted(lane))
        say_receipt(stream);
    lb_filters_finish(stream);
}

void lb_ending_turn_away(struct lb_stream *stream)
{
    char line[LB_RECEIPT_SIZE];
    bool told = lb_receipt_wanted(stream->lane);

    /* Whoever is turned away is not waited for. */
    lb_wire_finish(stream, told ? LB_CLOSING_PLAIN : LB_CLOSING_RESET, false);
    if (told)
        lb_filters_tell(stream, line, lb_receipt_refusal(&stream->verdict, line));
    lb_filters_finish(stream);
    lb_wire_go_on(stream);
}

void lb_ending_refuse(const struct lb_lane *lane, int fd, const struct lb_verdict *verdict)
{
    char line[LB_RECEIPT_SIZE];

    /* Filters have not met this peer: it would not understand. */
    if (lb_receipt_wanted(lane) && !lane->rules->filter_count)
        lb_wire_refuse(fd, line, lb_receipt_refusal(verdict, line));
}
