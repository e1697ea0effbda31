/* SPDX-License-Identifier: MIT */
/* A game's sinks: what each does is the dice's to say, and what is done to them is checked. */
#include "game.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SAID_MAX = 32 << 10,         /* that a connection has room for */
    SAID_MAX_QUEUED = 200 << 10, /* and more than that and a queue */
    NS_PER_MS = 1000000,
    BURST_MS = 100, /* that a rate may make up */
};

/* The sink's memory for a stream. */
struct state {
    struct game *game;
    unsigned number;
    unsigned in_progress; /* how often its end is not done yet */
    int end_result, settle_result;
    bool placing;   /* bytes come into hold */
    bool on_worker; /* its end is called there */
    bool unsettled; /* a good end leaves something to settle */
    bool failed, ready_failed, ending, over;
    enum lb_end end;
    uint64_t taken;
    uint8_t hold[GAME_HOLD_SIZE];
};

static struct game_stream *stream_of(const struct state *state)
{
    return &state->game->streams[state->number - 1];
}

/* ---- what it says, and its alarm ------------------------------------------------------------- */

static void speak(struct lb_stream *stream, struct state *state)
{
    struct game *game = state->game;
    struct game_stream *played = stream_of(state);
    char words[30000];
    size_t size = 1 + dice_below(&game->dice, game->small_buffers ? sizeof(words) : 60);
    ssize_t rc;

    if (played->said + size > (game->small_buffers ? SAID_MAX_QUEUED : SAID_MAX))
        return;
    for (size_t i = 0; i < size; i++)
        words[i] = game_word(game, state->number, played->said + i);
    rc = lb_stream_say(stream, words, size);
    if (rc == 0 || rc > (ssize_t)size || (rc < 0 && rc != -EAGAIN && rc != -EPIPE))
        script_violate(&game->script, "stream %u says %zu bytes: %zd", state->number, size, rc);
    if (!game->small_buffers && rc != (ssize_t)size)
        script_violate(&game->script, "stream %u can't say %zu bytes", state->number, size);
    if (rc > 0)
        played->said += (uint64_t)rc;
    script_log(&game->script, rc < (ssize_t)size ? "full%u " : "say%u ", state->number);
}

static void set_alarm(struct lb_stream *stream, struct state *state)
{
    struct game *game = state->game;
    struct game_stream *played = stream_of(state);
    unsigned ms = dice_below(&game->dice, 200);
    bool unset = dice_chance(&game->dice, 5);

    if (lb_stream_alarm(stream, unset ? LB_NO_ALARM : ms) < 0)
        script_violate(&game->script, "stream %u can't set an alarm", state->number);
    /* The clock was read at the earliest at this moment. */
    played->alarm_ns = unset ? 0 : game->world.now_ns + ms * UINT64_C(1000000);
}

/* On the worker, in any call. */
static void speak_and_set(struct lb_stream *stream, struct state *state)
{
    if (dice_chance(&state->game->dice, state->game->small_buffers ? 3 : 8))
        speak(stream, state);
    if (dice_chance(&state->game->dice, 8))
        set_alarm(stream, state);
}

/* ---- how it is filled ------------------------------------------------------------------------ */

/* Of a stream with a target: all that came there. */
static uint64_t arrived(struct game *game, unsigned number)
{
    const struct game_stream *played = &game->streams[number - 1];
    int waiting = 0;
    off_t size;

    if (played->reader > 0) {
        ioctl(played->reader - 1, FIONREAD, &waiting);
        return played->drained + (uint64_t)waiting;
    }
    size = lseek(played->target - 1, 0, SEEK_END);
    return size < 0 ? 0 : (uint64_t)size;
}

/* Brings what was spliced since the last call to the books. */
static void look_at_target(struct state *state)
{
    uint64_t now;

    if (!stream_of(state)->target)
        return;
    now = arrived(state->game, state->number);
    atomic_fetch_add(&state->game->taken, now - state->taken);
    state->taken = now;
}

/* At the rate's pace since it began there may have come so much, a burst and a piece. */
static bool is_within(uint64_t rate, uint64_t bytes, uint64_t since_ns, uint64_t now_ns,
                      uint64_t pieces)
{
    uint64_t ms = (now_ns - since_ns) / NS_PER_MS + 1 + BURST_MS;

    return rate == 0 || bytes <= rate * ms / 1000 + 1 + pieces * SCRIPT_SLOT_SIZE;
}

static void check_rates(const struct state *state)
{
    struct game *game = state->game;
    uint64_t now_ns = game->world.now_ns;

    if (!is_within(game->options.rate, state->taken, stream_of(state)->began_ns, now_ns, 1))
        script_violate(&game->script, "stream %u is faster than its rate", state->number);
    if (!is_within(game->options.total_rate, game->taken, GAME_BEGAN_NS, now_ns,
                   game->options.max_streams))
        script_violate(&game->script, "all together are faster than their rate");
}

static void check_bytes(struct game *game, unsigned number, uint64_t offset, const uint8_t *data,
                        size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != script_byte(number, offset + i)) {
            script_violate(&game->script, "stream %u: byte %" PRIu64 " is wrong", number,
                           offset + i);
            return;
        }
}

static void take(struct state *state, size_t size)
{
    state->taken += size;
    stream_of(state)->written += size;
    atomic_fetch_add(&state->game->taken, size);
    check_rates(state);
}

void game_drain(struct game *game, unsigned number, size_t size)
{
    struct game_stream *played = &game->streams[number - 1];
    uint8_t data[4096];
    ssize_t got;

    while (played->reader > 0 && size > 0) {
        got = read(played->reader - 1, data, size < sizeof(data) ? size : sizeof(data));
        if (got <= 0)
            return;
        check_bytes(game, number, played->drained, data, (size_t)got);
        played->drained += (uint64_t)got;
        size -= (size_t)got;
    }
}

/* Everything has come there, and it is what was sent. */
static void close_target(struct state *state)
{
    struct game_stream *played = stream_of(state);
    uint8_t data[4096];
    ssize_t got;

    if (!played->target)
        return;
    if (state->taken > played->written)
        script_log(&state->game->script, "spliced%u ", state->number);
    game_drain(state->game, state->number, SIZE_MAX);
    while (!played->reader &&
           (got = pread(played->target - 1, data, sizeof(data), (off_t)played->drained)) > 0) {
        check_bytes(state->game, state->number, played->drained, data, (size_t)got);
        played->drained += (uint64_t)got;
    }
    if (played->drained != state->taken)
        script_violate(&state->game->script, "stream %u: its target has %" PRIu64 " bytes",
                       state->number, played->drained);
    close(played->target - 1);
    if (played->reader)
        close(played->reader - 1);
    played->target = played->reader = 0;
}

/* ---- its calls ------------------------------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

/* Who may not come in does not. */
static void check_admission(struct game *game, unsigned number)
{
    unsigned host = game->streams[number - 1].host, same = 0;

    for (unsigned i = 0; i < game->script.stream_count; i++)
        same += game->streams[i].opened && game->streams[i].host == host &&
                !game->script.streams[i].forgotten;
    if (host && host == game->denied)
        script_violate(&game->script, "stream %u was let in", number);
    if (game->per_peer && same >= game->per_peer)
        script_violate(&game->script, "stream %u is its peer's %u. at a time", number, same + 1);
}

static int random_open(struct lb_stream *stream, void *context)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    struct game_stream *played;

    if (!is_zero(lb_stream_state(stream), sizeof(*state)) || (uintptr_t)state % 16 != 0)
        script_violate(&game->script, "a sink's state is not zeroed, or not aligned");
    state->game = game;
    state->number = script_find(&game->script, lb_stream_fd(stream));
    state->on_worker = !(game->options.sink->flags & LB_SINK_SLOW_END);
    played = stream_of(state);
    played->said = game->options.greeting ? strlen(game->options.greeting) : 0;
    script_log(&game->script, "open%u ", state->number);
    check_admission(game, state->number);
    if (dice_chance(&game->dice, 20)) {
        game->refused++;
        atomic_fetch_add(&game->ends[LB_END_SINK], 1);
        return -EMFILE;
    }
    game->opened++;
    played->opened = true;
    played->began_ns = game->world.now_ns;
    /* Decided here, as end may run on another thread. */
    state->in_progress = dice_chance(&game->dice, 3) ? dice_below(&game->dice, 4) : 0;
    state->end_result = dice_chance(&game->dice, 10) ? -EIO : 0;
    state->settle_result = dice_chance(&game->dice, 10) ? -EIO : 0;
    speak_and_set(stream, state);
    return 0;
}

static int random_open_file(struct lb_stream *stream, void *context)
{
    struct game *game = context;
    unsigned number = script_find(&game->script, lb_stream_fd(stream));
    int file = memfd_create("game", MFD_CLOEXEC);

    if (file < 0)
        return -errno;
    game->streams[number - 1].target = file + 1;
    if (random_open(stream, context) == 0)
        return 0;
    close_target(lb_stream_state(stream));
    return -EMFILE;
}

static int random_open_pipe(struct lb_stream *stream, void *context)
{
    struct game *game = context;
    unsigned number = script_find(&game->script, lb_stream_fd(stream));
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    game->streams[number - 1].target = ends[1] + 1;
    game->streams[number - 1].reader = ends[0] + 1;
    if (random_open(stream, context) == 0)
        return 0;
    close_target(lb_stream_state(stream));
    return -EMFILE;
}

static bool may_write(struct state *state, const void *data, size_t size)
{
    struct script *script = &state->game->script;

    script_log(script, "write%u:%zu ", state->number, size);
    if (size == 0 || state->failed || state->ready_failed || state->ending || state->over) {
        script_violate(script, "stream %u: a write that must not be", state->number);
        return false;
    }
    if (state->placing && data != state->hold)
        script_violate(script, "stream %u has a place, and its bytes are elsewhere", state->number);
    return true;
}

static void watch(struct lb_stream *stream, const struct state *state, int fd)
{
    if (lb_stream_watch(stream, fd, POLLOUT) < 0)
        script_violate(&state->game->script, "stream %u: watching failed", state->number);
}

/* Looks at what it is offered. Returns 0, or the error it fails with. */
static int look_at_offer(struct lb_stream *stream, struct game *game, const void *data, size_t size)
{
    struct state *state = lb_stream_state(stream);

    if (!may_write(state, data, size))
        return -EPROTO;
    if (lb_stream_bytes(stream) != state->taken)
        script_violate(&game->script, "stream %u: bytes are miscounted", state->number);
    check_bytes(game, state->number, state->taken, data, size);
    speak_and_set(stream, state);
    if (dice_chance(&game->dice, 40)) {
        state->failed = true;
        return -ENOSPC;
    }
    return 0;
}

static ssize_t random_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    int rc = look_at_offer(stream, game, data, size);

    if (rc < 0)
        return rc;
    if (game->may_pause && dice_chance(&game->dice, 3)) {
        size = dice_below(&game->dice, (unsigned)size);
        watch(stream, state, game->script.streams[state->number - 1].peer);
    }
    take(state, size);
    return (ssize_t)size;
}

/* What its target takes. */
static ssize_t random_target_write(struct lb_stream *stream, void *context, const void *data,
                                   size_t size)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    int target = stream_of(state)->target - 1, rc;
    ssize_t written;

    look_at_target(state);
    rc = look_at_offer(stream, game, data, size);
    if (rc < 0)
        return rc;
    written = write(target, data, size);
    if (written < 0 && errno != EAGAIN) {
        script_violate(&game->script, "stream %u: its target fails", state->number);
        return -EIO;
    }
    if (written < (ssize_t)size)
        watch(stream, state, target);
    take(state, written < 0 ? 0 : (size_t)written);
    return written < 0 ? 0 : written;
}

static int random_target(struct lb_stream *stream, void *context)
{
    const struct state *state = lb_stream_state(stream);
    struct game *game = context;

    return dice_chance(&game->dice, 10) ? -1 : stream_of(state)->target - 1;
}

static ssize_t random_place(struct lb_stream *stream, void *context, void **data)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;

    if (state->failed || state->ready_failed || state->ending || state->over)
        script_violate(&game->script, "stream %u: asked for a place it has no use for",
                       state->number);
    /* Asked whether there is a place at all; more than that the first answer does not say. */
    if (!state->placing && dice_chance(&game->dice, 5))
        return -EOPNOTSUPP;
    script_log(&game->script, "place%u ", state->number);
    if (state->placing && dice_chance(&game->dice, 40)) {
        state->failed = true;
        return -ENOSPC;
    }
    if (dice_chance(&game->dice, 5)) {
        watch(stream, state, game->script.streams[state->number - 1].peer);
        state->placing = true;
        return 0;
    }
    state->placing = true;
    *data = state->hold;
    return 1 + (ssize_t)dice_below(&game->dice, GAME_HOLD_SIZE);
}

static int random_ready(struct lb_stream *stream, void *context)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    struct game_stream *played = stream_of(state);

    script_log(&game->script, "ready%u ", state->number);
    if (state->over)
        script_violate(&game->script, "stream %u: ready after its end", state->number);
    if (played->alarm_ns && played->alarm_ns <= game->world.now_ns) {
        script_log(&game->script, "alarm%u ", state->number);
        played->alarm_ns = 0;
    }
    speak_and_set(stream, state);
    if (!dice_chance(&game->dice, 40))
        return 0;
    state->ready_failed = true;
    return -EIO;
}

/* ---- its end --------------------------------------------------------------------------------- */

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
    struct game_stream *played = stream_of(state);

    state->over = true;
    played->decided = true;
    played->end = end;
    played->taken = state->taken;
    atomic_fetch_add(&game->ends[end], 1);
    atomic_fetch_add(&game->finals, 1);
}

static void check_end(struct lb_stream *stream, const struct state *state, enum lb_end end)
{
    struct script *script = &state->game->script;

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
}

static int random_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct state *state = lb_stream_state(stream);
    struct game *game = context;
    struct script *script = &game->script;

    script_log(script, "end%u:%s ", state->number, lb_end_name(end));
    if (state->on_worker) {
        look_at_target(state);
        check_rates(state);
        speak_and_set(stream, state);
    }
    check_end(stream, state, end);
    state->ending = true;
    state->end = end;
    if (state->in_progress > 0) {
        state->in_progress--;
        lb_stream_watch(stream, script->streams[state->number - 1].peer, POLLOUT);
        return -EINPROGRESS;
    }
    if (state->on_worker)
        close_target(state);
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

#define RANDOM_SINK(...)                                                                           \
    {                                                                                              \
        LB_SINK_INIT, .state_size = sizeof(struct state), .ready = random_ready, __VA_ARGS__       \
    }

const struct lb_sink game_sinks[] = {
    RANDOM_SINK(.name = "random", .open = random_open, .write = random_write, .end = random_end),
    RANDOM_SINK(.name = "pausing", .flags = LB_SINK_MAY_PAUSE, .open = random_open,
                .write = random_write, .end = random_end),
    RANDOM_SINK(.name = "slow", .flags = LB_SINK_SLOW_END, .open = random_open,
                .write = random_write, .end = random_slow_end),
    RANDOM_SINK(.name = "slow and pausing", .flags = LB_SINK_SLOW_END | LB_SINK_MAY_PAUSE,
                .open = random_open, .write = random_write, .end = random_slow_end),
    RANDOM_SINK(.name = "to be settled", .flags = LB_SINK_SLOW_END, .open = random_open,
                .write = random_write, .end = random_unsettled_end, .settle = random_settle),
    RANDOM_SINK(.name = "to a file", .open = random_open_file, .write = random_target_write,
                .target = random_target, .end = random_end),
    RANDOM_SINK(.name = "to a pipe", .flags = LB_SINK_MAY_PAUSE, .open = random_open_pipe,
                .write = random_target_write, .target = random_target, .end = random_end),
    RANDOM_SINK(.name = "with a place", .open = random_open, .write = random_write,
                .place = random_place, .end = random_end),
};
const unsigned game_sink_count = sizeof(game_sinks) / sizeof(game_sinks[0]);
