/* SPDX-License-Identifier: MIT */
#include "ending.h"

#include "clock.h"
#include "door.h"
#include "receipt.h"

#include <stdio.h>

static bool has_own_end(const struct lb_rules *rules)
{
    for (unsigned i = 0; i < rules->filter_count; i++)
        if (rules->filters[i].filter->has_end)
            return true;
    return false;
}

/* A Unix socket knows no reset: a peer that was killed looks like one that closed. So where senders
 * get receipts, the end of a stream is said by a half-close, after which they wait for theirs. Both
 * directions close in one step of the kernel's (af_unix.c, unix_release_sock), so that an EOF by a
 * close is always seen as one; and a peer that said the end and left before we look has no receipt.
 */
void lb_ending_judge(struct lb_stream *stream, struct lb_verdict *verdict)
{
    bool said = !stream->conn.is_unix || !lb_receipt_wanted(stream->lane) ||
                has_own_end(stream->lane->rules) || !lb_peer_has_left(stream->conn.fd);

    lb_filters_eof(stream, verdict);
    if (!said && verdict->end == LB_END_EOF)
        *verdict = (struct lb_verdict){.end = LB_END_TRUNCATED, .why = "peer-left"};
}

/* Lines about each end in a second; --verbose asks for all. */
enum { ENDS_A_SECOND = 4 };

static bool is_told(const struct lb_lane *lane, const struct lb_verdict *verdict, uint64_t *untold)
{
    *untold = 0;
    if (lb_notes_wants(lane->notes, LB_NOTE_DETAIL))
        return true;
    return verdict->end != LB_END_EOF && lb_notes_wants(lane->notes, LB_NOTE_WARNING) &&
           lb_hush_tells(&lane->door->ends[verdict->end], lb_clock_ns(), LB_NS_PER_S, ENDS_A_SECOND,
                         untold);
}

void lb_ending_note(const struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;
    const struct lb_verdict *verdict = &stream->verdict;
    enum lb_note_level level = verdict->end == LB_END_EOF ? LB_NOTE_DETAIL : LB_NOTE_WARNING;
    const char *why = lb_verdict_text(verdict), *identity = lb_stream_identity(stream);
    char peer[LB_PEER_SIZE], more[LB_HUSH_SIZE];
    uint64_t untold;

    if (!is_told(lane, verdict, &untold))
        return;
    lb_note(lane->notes, level, "stream %llu from %s%s%s: %s after %llu bytes%s%s%s%s",
            (unsigned long long)stream->id, lb_stream_peer(stream, peer), identity ? ", " : "",
            identity ? identity : "", lb_end_name(verdict->end),
            (unsigned long long)lb_stream_bytes(stream), why ? " (" : "", why ? why : "",
            why ? ")" : "", lb_hush_text(untold, more));
}

void lb_ending_note_empty(const struct lb_stream *stream)
{
    char peer[LB_PEER_SIZE];

    lb_note(stream->lane->notes, LB_NOTE_DETAIL, "%llu from %s: no stream, as no byte came",
            (unsigned long long)stream->id, lb_stream_peer(stream, peer));
}

static bool refusal_is_told(const struct lb_lane *lane, uint64_t *untold)
{
    return lb_notes_wants(lane->notes, LB_NOTE_WARNING) &&
           lb_hush_tells(&lane->door->refusals, lb_clock_ns(), LB_NS_PER_S, 1, untold);
}

void lb_ending_note_refusal(const struct lb_stream *stream)
{
    const struct lb_lane *lane = stream->lane;
    char peer[LB_PEER_SIZE], name[32] = "a peer", more[LB_HUSH_SIZE];
    const char *prelude = NULL;
    uint64_t untold;

    if (!refusal_is_told(lane, &untold))
        return;
    if (stream->id)
        snprintf(name, sizeof(name), "stream %llu", (unsigned long long)stream->id);
    else
        prelude = lb_filters_prelude(stream);
    lb_note(lane->notes, LB_NOTE_WARNING, "%s from %s: %s: turned away (%s%s%s)%s", name,
            lb_stream_peer(stream, peer), lb_end_name(stream->verdict.end), prelude ? prelude : "",
            prelude ? ": " : "", lb_verdict_text(&stream->verdict), lb_hush_text(untold, more));
}

static void note_rest(struct lb_notes *notes, struct lb_hush *hush, const char *what)
{
    uint64_t untold = atomic_exchange(&hush->untold, 0);

    if (untold > 0)
        lb_note(notes, LB_NOTE_WARNING, "%s, %llu more since the last such line", what,
                (unsigned long long)untold);
}

void lb_ending_note_rest(struct lb_door *door, struct lb_notes *notes)
{
    for (int end = 0; end < LB_END_COUNT; end++)
        note_rest(notes, &door->ends[end], lb_end_name((enum lb_end)end));
    note_rest(notes, &door->refusals, "turned away");
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
    bool told = lb_receipt_wanted(lane) && (complete || !stream->session.in_doubt);
    enum lb_closing closing = LB_CLOSING_RESET;

    if (stream->borrowed || (complete && stream->at_eof))
        closing = LB_CLOSING_PLAIN;
    else if (complete || told || stream->session.asked == LB_ASKED_REFUSE)
        closing = LB_CLOSING_DRAIN;
    lb_wire_finish(stream, closing, !lane->hurry);
    if (told)
        say_receipt(stream);
    lb_filters_finish(stream);
}

void lb_ending_turn_away(struct lb_stream *stream)
{
    char line[LB_RECEIPT_SIZE];
    /* A filter that expects something of this peer, and has not met it, it would not understand. */
    bool met = stream->opened || !lb_filters_expect(stream);
    bool told = lb_receipt_wanted(stream->lane) && met;

    /* Whoever is turned away is not waited for. */
    lb_wire_finish(stream, told ? LB_CLOSING_PLAIN : LB_CLOSING_RESET, false);
    if (told)
        lb_filters_tell(stream, line, lb_receipt_refusal(&stream->verdict, line));
    lb_filters_finish(stream);
    lb_wire_go_on(stream);
}

void lb_ending_refuse(const struct lb_lane *lane, int fd, const struct lb_verdict *verdict)
{
    char line[LB_RECEIPT_SIZE], more[LB_HUSH_SIZE];
    uint64_t untold;

    /* Filters have not met this peer: it would not understand. */
    if (lb_receipt_wanted(lane) && !lane->rules->filter_count)
        lb_wire_refuse(fd, line, lb_receipt_refusal(verdict, line));
    if (refusal_is_told(lane, &untold))
        lb_note(lane->notes, LB_NOTE_WARNING, "a peer was turned away (%s)%s",
                lb_verdict_text(verdict), lb_hush_text(untold, more));
}
