/* SPDX-License-Identifier: MIT */
#include "game.h"

#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PLAY_TURNS = 40, /* then everything is brought to its end */
    PATIENT_TURN = PLAY_TURNS + 10,
    LAST_TURN = PLAY_TURNS + 1000, /* that must have been enough */
    HASTY_TURNS = 100,             /* in a row: then the worker spins */
    ACCEPTS = 12,                  /* streams a script */
    EVENTS = 12,                   /* random events a turn */
    WAKE_MS = 20,
    SEND_MOST = 80000,   /* that a connection has room for */
    LONG_NS = 500000000, /* and PLAY_TURNS of it are less than a peer's patience */
    SHORT_NS = 20000,
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

/* ---- peers ----------------------------------------------------------------------------------- */

const char game_greeting[] = "220 at your service\n>";

char game_word(const struct game *game, unsigned number, uint64_t offset)
{
    size_t greeted = game->options.greeting ? strlen(game->options.greeting) : 0;

    if (offset < greeted)
        return game->options.greeting[offset];
    return (char)(offset % 7 == 6 ? '\n' : 'a' + (number + offset) % 26);
}

static void hear_receipt(struct game *game, unsigned number, const char *data, size_t size)
{
    struct game_stream *stream = &game->streams[number - 1];

    if (size >= sizeof(stream->receipt) - stream->receipt_size) {
        script_violate(&game->script, "stream %u is told more than was said", number);
        return;
    }
    memcpy(stream->receipt + stream->receipt_size, data, size);
    stream->receipt_size += size;
}

void game_hear(struct game *game, unsigned number)
{
    struct game_stream *stream = &game->streams[number - 1];
    char data[4096];
    ssize_t got;

    while ((got = recv(game->script.streams[number - 1].peer, data, sizeof(data), MSG_DONTWAIT)) >
           0) {
        ssize_t i = 0;

        for (; i < got && stream->heard < stream->said; i++)
            if (data[i] != game_word(game, number, stream->heard++))
                script_violate(&game->script, "stream %u is told something else", number);
        hear_receipt(game, number, data + i, (size_t)(got - i));
    }
}

/* The peer sends for good, where its bytes are not made up on arrival. */
static void send_some(struct game *game, unsigned number)
{
    static uint8_t data[SEND_MOST];
    struct script_stream *stream = &game->script.streams[number - 1];
    size_t size = 1 + (dice_chance(&game->dice, 2) ? dice_below(&game->dice, 3000)
                                                   : dice_below(&game->dice, 8) * 10000);
    ssize_t sent;

    for (size_t i = 0; i < size; i++)
        data[i] = script_byte(number, stream->sent + i);
    sent = send(stream->peer, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    stream->sent += sent > 0 ? (uint64_t)sent : 0;
}

static void shut(struct game *game, unsigned number)
{
    game->streams[number - 1].shut = true;
    shutdown(game->script.streams[number - 1].peer, SHUT_WR);
}

static unsigned host_of(const void *context, int fd)
{
    const struct game *game = context;
    unsigned number = script_find(&game->script, fd);

    return number == 0 ? 0 : game->streams[number - 1].host;
}

static struct lb_event accept_one(struct game *game)
{
    const int least = 1;
    struct lb_event event = script_accept(&game->script);
    struct game_stream *stream = &game->streams[game->script.stream_count - 1];

    if (game->addressed)
        stream->host = 1 + dice_below(&game->dice, GAME_HOSTS);
    if (game->small_buffers)
        setsockopt(event.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
    return event;
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct lb_event end_receiving(struct game *game, unsigned number)
{
    static const int errors[] = {-ECONNRESET, -ETIMEDOUT, -EIO, 0, 0, 0, 0};
    const struct script_stream *stream = &game->script.streams[number - 1];
    int error = errors[dice_below(&game->dice, sizeof(errors) / sizeof(errors[0]))];

    if (game->streams[number - 1].shut)
        error = 0;
    /* The end may overtake the cancel. */
    if (stream->cancelled && (stream->awaiting || script_unread(&game->script, number) > 0 ||
                              !dice_chance(&game->dice, 4)))
        error = -ECANCELED;
    return script_terminal(&game->script, number, error);
}

/* Bytes, or its EOF. Returns false if it has to wait. */
static bool make_data(struct game *game, unsigned number, struct lb_event *event)
{
    const struct script_stream *stream = &game->script.streams[number - 1];
    bool is_shut = game->streams[number - 1].shut;

    if (stream->awaiting) {
        if (!is_shut && (script_unread(&game->script, number) == 0 || dice_chance(&game->dice, 2)))
            send_some(game, number);
        if (!is_shut && script_unread(&game->script, number) == 0)
            return false;
        script_log(&game->script, "readable%u ", number);
        *event = script_readable(&game->script, number);
    } else {
        if (!script_has_slot(&game->script) ||
            (is_shut && script_unread(&game->script, number) == 0))
            return false;
        *event = script_data(&game->script, number,
                             dice_chance(&game->dice, 3) ? SCRIPT_SLOT_SIZE
                                                         : 1 + dice_below(&game->dice, 200));
    }
    return true;
}

/* Its terminal event, or what has to come before. */
static bool make_end(struct game *game, unsigned number, struct lb_event *event)
{
    const struct script_stream *stream = &game->script.streams[number - 1];

    if (stream->awaiting && !stream->cancelled)
        shut(game, number);
    if (!stream->cancelled && (stream->awaiting || script_unread(&game->script, number) > 0))
        return make_data(game, number, event);
    *event = end_receiving(game, number);
    return true;
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
        *event = accept_one(game);
    } else if (kind < 65) {
        number = pick(game, is_receiving);
        return number > 0 && make_data(game, number, event);
    } else if (kind < 75) {
        number = pick(game, is_receiving);
        return number > 0 && make_end(game, number, event);
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
static void let_peers_leave(struct game *game)
{
    for (unsigned number = 1; number <= game->script.stream_count; number++)
        shut(game, number);
}

/* What is under way comes to its end. */
static unsigned end_everything(struct game *game, struct lb_event *events)
{
    unsigned count = 0;

    for (unsigned number = 1; number <= game->script.stream_count; number++) {
        const struct script_stream *stream = &game->script.streams[number - 1];

        game_hear(game, number);
        game_drain(game, number, SIZE_MAX);
        if (stream->receiving)
            count += make_end(game, number, &events[count]);
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
            game->stopping = true;
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

/* ---- turns ----------------------------------------------------------------------------------- */

/* What a turn's time is, is the worker's to say; the dice may cut it short. */
static void pass_time(struct game *game, const struct lb_turn *turn)
{
    bool all = game->turn >= PLAY_TURNS;
    uint64_t ns = dice_below(&game->dice, SHORT_NS);

    if (turn->timeout_ns >= 0 && (all || dice_chance(&game->dice, 2)))
        ns = (uint64_t)turn->timeout_ns;
    if (ns > LONG_NS && !all)
        ns = LONG_NS;
    game->world.now_ns += ns;
    game->hasty_turns = turn->timeout_ns == 0 ? game->hasty_turns + 1 : 0;
    if (game->hasty_turns == HASTY_TURNS)
        script_violate(&game->script, "the worker spins");
}

static const struct lb_stream *stream_at(const struct game *game, unsigned number)
{
    return (const struct lb_stream *)(const void *)game->script.streams[number - 1].conn;
}

/* Its sink is there to hear it: an alarm that was due when the last events were told has rung. */
static void look_at_alarm(struct game *game, unsigned number)
{
    struct game_stream *played = &game->streams[number - 1];
    const struct lb_stream *stream = stream_at(game, number);

    if (played->alarm_ns && played->alarm_ns < game->told_ns &&
        (lb_stream_is_under_way(stream) || stream->state == LB_STREAM_ENDING))
        script_violate(&game->script, "stream %u: its alarm did not ring", number);
}

static void look_at_streams(struct game *game)
{
    for (unsigned number = 1; number <= game->script.stream_count; number++) {
        const struct script_stream *stream = &game->script.streams[number - 1];
        struct game_stream *played = &game->streams[number - 1];

        if (stream->forgotten && !game->stopping && !game->script.broken)
            played->quiet = true;
        if (!has_begun(stream))
            continue;
        look_at_alarm(game, number);
        if (stream_at(game, number)->state == LB_STREAM_THROTTLED)
            script_log(&game->script, "throttled%u ", number);
        if (stream_at(game, number)->wire.queued > 0)
            script_log(&game->script, "queued%u ", number);
        if (dice_chance(&game->dice, 4))
            game_hear(game, number);
        if (dice_chance(&game->dice, 4))
            game_drain(game, number, dice_below(&game->dice, 65536));
        if (played->target && !played->reader && dice_chance(&game->dice, 20)) {
            script_log(&game->script, "refuse%u ", number);
            fcntl(played->target - 1, F_SETFL, O_APPEND); /* nothing can be spliced there now */
        }
    }
}

/* Returns how many events it made up. */
static unsigned make_events(struct game *game, struct lb_event *events, const struct lb_turn *turn)
{
    unsigned count = 0, accepted = 0;

    if (game->turn >= PLAY_TURNS)
        return end_everything(game, events);
    if (dice_chance(&game->dice, 12))
        break_one(game);
    for (unsigned i = dice_below(&game->dice, EVENTS + 1); i > 0; i--)
        count += make_event(game, turn, &accepted, &events[count]);
    return count;
}

static int play(struct script *script, struct lb_event *events, unsigned max,
                const struct lb_turn *turn)
{
    struct game *game = script->player;
    unsigned count;

    script_log(script, "| ");
    game->turn++;
    if (game->turn < PLAY_TURNS && dice_empty(&game->dice))
        game->turn = PLAY_TURNS;
    if (max < EVENTS + SCRIPT_STREAMS + 1)
        script_violate(script, "place for %u events only", max);
    look_at_streams(game);
    pass_time(game, turn);
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
    count = make_events(game, events, turn);
    /* By then only the committer can be at work still. */
    if (script_await_wake(script, game->turn > PATIENT_TURN ? WAKE_MS : 0))
        events[count++] = (struct lb_event){.type = LB_EVENT_WAKE};
    game->told_ns = game->world.now_ns;
    return (int)count;
}

/* ---- the promises ---------------------------------------------------------------------------- */

static unsigned random_turn(struct game *game, unsigned one_in)
{
    return dice_chance(&game->dice, one_in) ? 1 + dice_below(&game->dice, PLAY_TURNS - 1)
                                            : UINT_MAX;
}

static uint64_t choose_rate(struct dice *dice)
{
    /* The first allows one piece and then no more before the end of the game. */
    static const uint64_t rates[] = {1, 5000, 100000, 1000000};

    return dice_chance(dice, 6) ? rates[dice_below(dice, 4)] : 0;
}

/* One after the other: the order in which an initialiser's parts are made is the compiler's. */
static void choose_options(struct game *game, struct script_options *options)
{
    struct lb_config limits = {0};
    struct dice *dice = &game->dice;

    *options = (struct script_options){.context = game};
    options->sink = &game_sinks[dice_below(dice, game_sink_count)];
    options->max_streams = 1 + dice_below(dice, 5);
    if (dice_chance(dice, 2))
        options->count = 1 + dice_below(dice, 8);
    if (dice_chance(dice, 2))
        options->drain_ms = 60000;
    options->one_stream_per_worker = dice_chance(dice, 4);
    if (dice_chance(dice, 4))
        limits.idle_timeout_ms = 1 + dice_below(dice, 3000);
    if (dice_chance(dice, 3))
        limits.max_bytes = 1 + dice_below(dice, 20000);
    lb_limits_init(&options->limits, &limits);
    options->rate = choose_rate(dice);
    options->total_rate = choose_rate(dice);
    options->receipts = dice_chance(dice, 3);
    if (dice_chance(dice, 4))
        options->greeting = game_greeting;
    options->committer = (options->sink->flags & LB_SINK_SLOW_END) && !dice_chance(dice, 4);
}

/* Which peers may come in, and how many streams there may be of each. */
static int choose_admission(struct game *game)
{
    char denied[20] = "";
    const char *const list[] = {denied, NULL};
    struct lb_config config = {0};

    game->addressed = dice_chance(&game->dice, 2);
    if (dice_chance(&game->dice, 4))
        game->per_peer = 1 + dice_below(&game->dice, 3);
    if (game->addressed && dice_chance(&game->dice, 2))
        game->denied = 1 + dice_below(&game->dice, GAME_HOSTS);
    if (game->denied) {
        snprintf(denied, sizeof(denied), "192.0.2.%u", game->denied);
        config.deny = list;
    }
    config.max_streams_per_peer = game->per_peer;
    return lb_admission_init(&game->script.door.admission, &config, SCRIPT_STREAMS, NULL);
}

static int begin(struct game *game, struct dice dice)
{
    int rc;

    memset(game, 0, sizeof(*game));
    game->world = (struct game_world){GAME_BEGAN_NS, host_of, game};
    game->dice = dice;
    choose_options(game, &game->options);
    game->one_stream = game->options.one_stream_per_worker;
    game->may_pause = game->options.sink->flags & LB_SINK_MAY_PAUSE;
    game->small_buffers = dice_chance(&game->dice, 3);
    game->stop_turns[0] = random_turn(game, 2);
    game->stop_turns[1] = random_turn(game, 3);
    game->break_turn = random_turn(game, 8);
    rc = script_init(&game->script, &game->options);
    return rc < 0 ? rc : choose_admission(game);
}

/* Nothing that was said may be missing, unless it had to wait and there was no time. */
static bool must_hear_all(const struct game *game, const struct game_stream *stream)
{
    return !game->small_buffers || (stream->quiet && !game->options.limits.idle_ns);
}

/* What the peer has heard is the truth. */
static void check_receipt(struct game *game, unsigned number)
{
    const struct game_stream *stream = &game->streams[number - 1];
    struct script *script = &game->script;
    char wanted[40] = "error ";
    const char *text = stream->receipt;
    size_t size = stream->receipt_size;

    if (!game->options.receipts || size == 0) {
        if (size > 0)
            script_violate(script, "stream %u: nobody asked for \"%s\"", number, text);
        if (game->options.receipts && stream->opened && must_hear_all(game, stream))
            script_violate(script, "stream %u has no receipt", number);
        return;
    }
    /* A line of its own. */
    if (stream->said > 0 && game_word(game, number, stream->said - 1) != '\n' && *text++ == '\n')
        size--;
    if (stream->opened && stream->end == LB_END_EOF)
        snprintf(wanted, sizeof(wanted), "ok %" PRIu64 " ", stream->taken);
    if (!must_hear_all(game, stream) && size < strlen(wanted))
        return;
    if (strncmp(text, wanted, strlen(wanted)) != 0 ||
        (must_hear_all(game, stream) && strchr(text, '\n') != text + size - 1))
        script_violate(script, "stream %u: \"%s\" does not begin with \"%s\"", number, text,
                       wanted);
}

static void check_heard(struct game *game, unsigned number)
{
    const struct game_stream *stream = &game->streams[number - 1];

    game_hear(game, number);
    if (stream->heard < stream->said && must_hear_all(game, stream))
        script_violate(&game->script, "stream %u has heard %" PRIu64 " of %" PRIu64 " bytes",
                       number, stream->heard, stream->said);
    check_receipt(game, number);
}

/* The door turns away those it was told to, and nobody else. */
static void check_refusals(struct game *game)
{
    uint64_t refused = game->script.stats.refused;

    if (refused > 0 && !game->denied && !game->per_peer)
        script_violate(&game->script, "%" PRIu64 " peers were turned away for nothing", refused);
    game->ends[LB_END_LIMIT] += refused; /* the sink never saw them */
}

static void check_promises(struct game *game)
{
    struct script *script = &game->script;
    const struct lb_stats *stats = &script->stats;

    script_check(script);
    for (unsigned number = 1; number <= script->stream_count; number++)
        check_heard(game, number);
    check_refusals(game);
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
    game_world_enter(&game->world);
    lb_worker_run(&game->script.worker);
    game_world_leave();
    check_promises(game);
    script_done(&game->script);
    return 0;
}
