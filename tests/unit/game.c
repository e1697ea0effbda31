/* SPDX-License-Identifier: MIT */
#include "game.h"

#include "life.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PLAY_TURNS = 40, /* then everything is brought to its end */
    PATIENT_TURN = PLAY_TURNS + 10,
    LAST_TURN = PLAY_TURNS + 1000, /* that must have been enough */
    ACCEPTS = 12,                  /* streams a script */
    EVENTS = 12,                   /* random events a turn */
    WAKE_MS = 20,
};

/* The sink's memory for a stream. */
struct state {
    struct game *game;
    unsigned number;
    unsigned in_progress; /* how often its end is not done yet */
    int end_result, settle_result;
    bool unsettled; /* a good end leaves something to settle */
    bool failed, ready_failed, ending, over;
    enum lb_end end;
    uint64_t taken;
};

/* ---- the sink -------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

static int random_open(struct lb_stream *stream, void *context)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;

    if (!is_zero(lb_stream_state(stream), sizeof(*state)) || (uintptr_t)state % 16 != 0)
        script_violate(&game->script, "a sink's state is not zeroed, or not aligned");
    state->game = game;
    state->number = script_find(&game->script, lb_stream_fd(stream));
    script_log(&game->script, "open%u ", state->number);
    if (dice_chance(&game->dice, 20)) {
        game->refused++;
        atomic_fetch_add(&game->ends[LB_END_SINK], 1);
        return -EMFILE;
    }
    game->opened++;
    game->verdicts[state->number - 1].opened = true;
    /* Decided here, as end may run on another thread. */
    state->in_progress = dice_chance(&game->dice, 3) ? dice_below(&game->dice, 4) : 0;
    state->end_result = dice_chance(&game->dice, 10) ? -EIO : 0;
    state->settle_result = dice_chance(&game->dice, 10) ? -EIO : 0;
    return 0;
}

static void check_bytes(const struct state *state, uint64_t offset, const uint8_t *data,
                        size_t size)
{
    if (offset != state->taken)
        script_violate(&state->game->script, "stream %u: bytes are miscounted", state->number);
    for (size_t i = 0; i < size; i++)
        if (data[i] != script_byte(state->number, offset + i)) {
            script_violate(&state->game->script, "stream %u: wrong bytes", state->number);
            return;
        }
}

static ssize_t random_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;

    script_log(&game->script, "write%u:%zu ", state->number, size);
    if (size == 0 || state->failed || state->ready_failed || state->ending || state->over) {
        script_violate(&game->script, "stream %u: a write that must not be", state->number);
        return -EPROTO;
    }
    check_bytes(state, lb_stream_bytes(stream), data, size);
    if (dice_chance(&game->dice, 40)) {
        state->failed = true;
        return -ENOSPC;
    }
    if (game->may_pause && dice_chance(&game->dice, 3)) {
        size = dice_below(&game->dice, (unsigned)size);
        if (lb_stream_watch(stream, game->script.streams[state->number - 1].peer, POLLOUT) < 0)
            script_violate(&game->script, "watching failed");
    }
    state->taken += size;
    atomic_fetch_add(&game->taken, size);
    return (ssize_t)size;
}

static int random_ready(struct lb_stream *stream, void *context)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;

    script_log(&game->script, "ready%u ", state->number);
    if (state->over)
        script_violate(&game->script, "stream %u: ready after its end", state->number);
    if (!dice_chance(&game->dice, 40))
        return 0;
    state->ready_failed = true;
    return -EIO;
}

/* An end that was in progress is told again, or why it shall give up. */
static bool may_become(const struct state *state, enum lb_end end)
{
    if (end == state->end)
        return true;
    if (state->end != LB_END_EOF)
        return false;
    return end == LB_END_STOPPED || (end == LB_END_SINK && state->ready_failed) ||
           (end == LB_END_ERROR && state->game->script.broken);
}

/* No call with the stream will come any more. */
static void decide(struct game *game, struct state *state, enum lb_end end)
{
    state->over = true;
    game->verdicts[state->number - 1].decided = true;
    game->verdicts[state->number - 1].end = end;
    game->verdicts[state->number - 1].taken = state->taken;
    atomic_fetch_add(&game->ends[end], 1);
    atomic_fetch_add(&game->finals, 1);
}

static int random_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    struct script *script = &game->script;

    script_log(script, "end%u:%s ", state->number, lb_end_name(end));
    if (state->over || lb_stream_bytes(stream) != state->taken)
        script_violate(script, "stream %u: an end too many, or bytes miscounted", state->number);
    if (state->ending && !may_become(state, end))
        script_violate(script, "stream %u: %s became %s", state->number, lb_end_name(state->end),
                       lb_end_name(end));
    if (state->failed && end != LB_END_SINK)
        script_violate(script, "stream %u: its sink failed, but it ends as %s", state->number,
                       lb_end_name(end));
    if (end == LB_END_EOF && state->taken != script->streams[state->number - 1].sent)
        script_violate(script, "stream %u: eof, but bytes are missing", state->number);
    state->ending = true;
    state->end = end;
    if (state->in_progress > 0) {
        state->in_progress--;
        lb_stream_watch(stream, script->streams[state->number - 1].peer, POLLOUT);
        return -EINPROGRESS;
    }
    if (end == LB_END_EOF && state->end_result == 0 && state->unsettled) {
        state->over = true;
        return LB_UNSETTLED;
    }
    decide(game, state, end == LB_END_EOF && state->end_result < 0 ? LB_END_SINK : end);
    return state->end_result;
}

/* On the committer's thread nothing may be watched, and the end may not be in progress. */
static int random_slow_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct state *state = lb_stream_state(stream);

    state->in_progress = 0;
    return random_end(stream, context, end);
}

static int random_unsettled_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct state *state = lb_stream_state(stream);

    state->unsettled = true;
    return random_slow_end(stream, context, end);
}

/* All of them are safe, or none is. */
static int random_settle(struct lb_stream *const *streams, size_t count, void *context)
{
    struct game *game = context;
    int result = 0;

    for (size_t i = 0; i < count; i++) {
        const struct state *state = lb_stream_state(streams[i]);

        if (!state->over || state->end != LB_END_EOF)
            script_violate(&game->script, "stream %u has nothing to settle", state->number);
        if (state->settle_result < 0)
            result = state->settle_result;
    }
    for (size_t i = 0; i < count; i++) {
        struct state *state = lb_stream_state(streams[i]);

        script_log(&game->script, "settle%u ", state->number);
        decide(game, state, result < 0 ? LB_END_SINK : LB_END_EOF);
    }
    return result;
}

static const struct lb_sink sinks[] = {
    {
        LB_SINK_INIT,
        .name = "random",
        .state_size = sizeof(struct state),
        .open = random_open,
        .write = random_write,
        .ready = random_ready,
        .end = random_end,
    },
    {
        LB_SINK_INIT,
        .name = "random pausing",
        .flags = LB_SINK_MAY_PAUSE,
        .state_size = sizeof(struct state),
        .open = random_open,
        .write = random_write,
        .ready = random_ready,
        .end = random_end,
    },
    {
        LB_SINK_INIT,
        .name = "random slow",
        .flags = LB_SINK_SLOW_END,
        .state_size = sizeof(struct state),
        .open = random_open,
        .write = random_write,
        .ready = random_ready,
        .end = random_slow_end,
    },
    {
        LB_SINK_INIT,
        .name = "random slow and pausing",
        .flags = LB_SINK_SLOW_END | LB_SINK_MAY_PAUSE,
        .state_size = sizeof(struct state),
        .open = random_open,
        .write = random_write,
        .ready = random_ready,
        .end = random_slow_end,
    },
    {
        LB_SINK_INIT,
        .name = "random to be settled",
        .flags = LB_SINK_SLOW_END,
        .state_size = sizeof(struct state),
        .open = random_open,
        .write = random_write,
        .ready = random_ready,
        .end = random_unsettled_end,
        .settle = random_settle,
    },
};

/* ---- the backend ----------------------------------------------------------------------------- */

static bool is_receiving(const struct script_stream *stream)
{
    return stream->receiving;
}

/* It may be long gone. */
static bool ever_watched(const struct script_stream *stream)
{
    return stream->cookie;
}

static bool has_begun(const struct script_stream *stream)
{
    return stream->conn && !stream->forgotten;
}

/* A random stream of that kind, or 0. */
static unsigned pick(struct game *game, bool (*is)(const struct script_stream *stream))
{
    unsigned first = dice_below(&game->dice, SCRIPT_STREAMS);

    for (unsigned i = 0; i < SCRIPT_STREAMS; i++) {
        unsigned at = (first + i) % SCRIPT_STREAMS;

        if (at < game->script.stream_count && is(&game->script.streams[at]))
            return at + 1;
    }
    return 0;
}

static struct lb_event end_receiving(struct game *game, unsigned number)
{
    static const int errors[] = {-ECONNRESET, -ETIMEDOUT, -EIO, 0, 0, 0, 0};
    const struct script_stream *stream = &game->script.streams[number - 1];
    int error = errors[dice_below(&game->dice, sizeof(errors) / sizeof(errors[0]))];

    /* The end may overtake the cancel. */
    if (stream->cancelled && !dice_chance(&game->dice, 4))
        error = -ECANCELED;
    return script_terminal(&game->script, number, error);
}

static bool may_accept(struct game *game, const struct lb_turn *turn, unsigned accepted)
{
    if (game->script.stream_count >= ACCEPTS)
        return false;
    if (accepted < turn->accept_limit)
        return true;
    /* Accepted ahead by the kernel. */
    return !game->one_stream && game->script.status.accepting && dice_chance(&game->dice, 4);
}

/* Makes up one event. Returns false if this turn it had no luck. */
static bool make_event(struct game *game, const struct lb_turn *turn, unsigned *accepted,
                       struct lb_event *event)
{
    unsigned kind = dice_below(&game->dice, 100), number = 0;

    if (kind < 20) {
        if (!may_accept(game, turn, *accepted))
            return false;
        ++*accepted;
        *event = script_accept(&game->script);
    } else if (kind < 65) {
        number = pick(game, is_receiving);
        if (number == 0 || !script_has_slot(&game->script))
            return false;
        *event = script_data(&game->script, number,
                             dice_chance(&game->dice, 4) ? SCRIPT_SLOT_SIZE
                                                         : 1 + dice_below(&game->dice, 200));
    } else if (kind < 75) {
        number = pick(game, is_receiving);
        if (number == 0)
            return false;
        *event = end_receiving(game, number);
    } else if (kind < 98) {
        number = pick(game, ever_watched);
        if (number == 0)
            return false;
        *event = (struct lb_event){.type = LB_EVENT_READY,
                                   .cookie = game->script.streams[number - 1].cookie};
    } else if (kind < 99 || turn->accept_limit == 0) {
        *event = (struct lb_event){.type = LB_EVENT_WAKE};
    } else {
        *accepted = UINT_MAX;
        *event = (struct lb_event){.type = LB_EVENT_ACCEPT_FAILED, .error = -EMFILE};
    }
    return true;
}

/* Who is told of an error by a receipt leaves, and need not be waited for. */
static void let_peers_leave(const struct game *game)
{
    for (unsigned i = 0; i < game->script.stream_count; i++)
        shutdown(game->script.streams[i].peer, SHUT_WR);
}

/* What is under way comes to its end. */
static unsigned end_everything(struct game *game, struct lb_event *events)
{
    unsigned count = 0;

    for (unsigned number = 1; number <= game->script.stream_count; number++) {
        const struct script_stream *stream = &game->script.streams[number - 1];

        if (stream->receiving)
            events[count++] = end_receiving(game, number);
        else if (stream->cookie)
            events[count++] = (struct lb_event){.type = LB_EVENT_READY, .cookie = stream->cookie};
    }
    return count;
}

static void look_at_stops(struct game *game)
{
    for (int i = 0; i < 2; i++)
        if (game->turn == game->stop_turns[i] || game->turn == PLAY_TURNS) {
            script_log(&game->script, "stop ");
            lb_door_stop(&game->script.door);
        }
}

/* As an alarm between two turns does: any stream may have passed a limit of time. */
static void break_one(struct game *game)
{
    static const struct lb_verdict idle = {.end = LB_END_TIMEOUT, .why = "idle"};
    struct lb_stream *stream;
    unsigned number = pick(game, has_begun);

    if (number == 0)
        return;
    script_log(&game->script, "break%u ", number);
    stream = (struct lb_stream *)game->script.streams[number - 1].conn;
    if (lb_stream_is_under_way(stream))
        lb_life_stop(stream, &idle);
}

static void look_at_accepting(struct game *game, const struct lb_turn *turn)
{
    if (turn->accept_limit > 0) {
        game->script.status.accepting = true;
        game->lag = dice_below(&game->dice, 3);
    } else if (game->lag > 0) {
        game->lag--;
    } else {
        game->script.status.accepting = false;
    }
}

static int play(struct script *script, struct lb_event *events, unsigned max,
                const struct lb_turn *turn)
{
    struct game *game = script->player;
    unsigned count = 0, accepted = 0;

    script_log(script, "| ");
    game->turn++;
    if (game->turn < PLAY_TURNS && dice_empty(&game->dice))
        game->turn = PLAY_TURNS;
    if (game->turn >= PLAY_TURNS || game->turn == game->break_turn)
        let_peers_leave(game);
    if (game->turn == game->break_turn)
        return -EIO;
    if (game->turn == LAST_TURN) {
        script_violate(script, "the worker does not end");
        return -ENOTRECOVERABLE;
    }
    look_at_stops(game);
    look_at_accepting(game, turn);
    if (game->turn < PLAY_TURNS && dice_chance(&game->dice, 12))
        break_one(game);
    if (max < EVENTS + SCRIPT_STREAMS + 1)
        script_violate(script, "place for %u events only", max);
    for (unsigned i = dice_below(&game->dice, EVENTS + 1); game->turn < PLAY_TURNS && i > 0; i--)
        count += make_event(game, turn, &accepted, &events[count]);
    if (game->turn >= PLAY_TURNS)
        count = end_everything(game, events);
    /* By then only the committer can be at work still. */
    if (script_await_wake(script, game->turn > PATIENT_TURN ? WAKE_MS : 0))
        events[count++] = (struct lb_event){.type = LB_EVENT_WAKE};
    return (int)count;
}

/* ---- the promises ---------------------------------------------------------------------------- */

static unsigned random_turn(struct game *game, unsigned one_in)
{
    return dice_chance(&game->dice, one_in) ? 1 + dice_below(&game->dice, PLAY_TURNS - 1)
                                            : UINT_MAX;
}

/* One after the other: the order in which an initialiser's parts are made is the compiler's. */
static void choose_options(struct game *game, struct script_options *options)
{
    struct dice *dice = &game->dice;

    *options = (struct script_options){.context = game};
    options->sink = &sinks[dice_below(dice, sizeof(sinks) / sizeof(sinks[0]))];
    options->max_streams = 1 + dice_below(dice, 5);
    if (dice_chance(dice, 2))
        options->count = 1 + dice_below(dice, 8);
    if (dice_chance(dice, 2))
        options->drain_ms = 60000;
    options->one_stream_per_worker = dice_chance(dice, 4);
    if (dice_chance(dice, 3))
        options->limits.max_bytes = 1 + dice_below(dice, 20000);
    /* That allows one piece and then no more before the end of the game. */
    if (dice_chance(dice, 8))
        options->rate = 1;
    options->receipts = dice_chance(dice, 3);
    options->committer = (options->sink->flags & LB_SINK_SLOW_END) && !dice_chance(dice, 4);
}

/* How many streams there may be of one peer, which all of them are. */
static int choose_admission(struct game *game)
{
    struct lb_config config = {0};

    if (dice_chance(&game->dice, 6))
        config.max_streams_per_peer = 1 + dice_below(&game->dice, 3);
    return lb_admission_init(&game->script.door.admission, &config, SCRIPT_STREAMS, NULL);
}

static int begin(struct game *game, struct dice dice)
{
    struct script_options options;
    int rc;

    memset(game, 0, sizeof(*game));
    game->dice = dice;
    choose_options(game, &options);
    game->one_stream = options.one_stream_per_worker;
    game->receipts = options.receipts;
    game->may_pause = options.sink->flags & LB_SINK_MAY_PAUSE;
    game->stop_turns[0] = random_turn(game, 2);
    game->stop_turns[1] = random_turn(game, 3);
    game->break_turn = random_turn(game, 8);
    rc = script_init(&game->script, &options);
    return rc < 0 ? rc : choose_admission(game);
}

/* What the peer has heard is the truth. */
static void check_receipt(struct game *game, unsigned number)
{
    struct script *script = &game->script;
    bool opened = game->verdicts[number - 1].opened;
    bool well = opened && game->verdicts[number - 1].end == LB_END_EOF;
    char text[600] = "", wanted[40];
    ssize_t size = recv(script->streams[number - 1].peer, text, sizeof(text) - 1, MSG_DONTWAIT);

    if (size < 0)
        size = 0;
    if (!game->receipts || (size == 0 && !opened)) {
        if (size > 0)
            script_violate(script, "stream %u: nobody asked for \"%s\"", number, text);
        return;
    }
    snprintf(wanted, sizeof(wanted), "ok %" PRIu64 " ", game->verdicts[number - 1].taken);
    if (!well)
        strcpy(wanted, "error ");
    if (strncmp(text, wanted, strlen(wanted)) != 0 || strchr(text, '\n') != text + size - 1)
        script_violate(script, "stream %u: \"%s\" does not begin with \"%s\"", number, text,
                       wanted);
}

static void check_promises(struct game *game)
{
    struct script *script = &game->script;
    const struct lb_stats *stats = &script->stats;

    script_check(script);
    for (unsigned number = 1; number <= script->stream_count; number++)
        check_receipt(game, number);
    game->ends[LB_END_LIMIT] += stats->refused; /* at the door: the sink never saw them */
    if (stats->accepted != game->opened + game->refused + stats->refused)
        script_violate(script, "%" PRIu64 " streams began, the sink saw %u", stats->accepted,
                       game->opened + game->refused);
    if (game->finals != game->opened)
        script_violate(script, "%u streams were opened, %u ended", game->opened, game->finals);
    if (stats->bytes != game->taken)
        script_violate(script, "%" PRIu64 " bytes were taken, %" PRIu64 " counted",
                       (uint64_t)game->taken, stats->bytes);
    for (int end = 0; end < LB_END_COUNT; end++)
        if (stats->ends[end] != game->ends[end])
            script_violate(script, "%" PRIu64 " streams ended as %s, %" PRIu64 " were counted",
                           (uint64_t)game->ends[end], lb_end_name((enum lb_end)end),
                           stats->ends[end]);
}

int game_play(struct game *game, struct dice dice)
{
    int rc = begin(game, dice);

    if (rc < 0)
        return rc;
    game->script.play = play;
    game->script.player = game;
    lb_worker_run(&game->script.worker);
    check_promises(game);
    script_done(&game->script);
    return 0;
}
