/* SPDX-License-Identifier: MIT */
/*
 * exec: a command for each stream.
 *
 * The stream is the command's standard input. Its standard output is sent to the peer, but only
 * after the stream's EOF was passed on, as a byte to a peer that still sends may cost bytes. What
 * it writes earlier waits in a spool, so that a command which writes while it reads (cat) never
 * waits for us while we wait for it. The spool has a bound: no longer reading past it would make
 * the two wait for each other for ever, so the stream ends.
 *
 * The command's exit status is the stream's: the end is eof only if it exited with status 0. What
 * it chose not to read (head -1) is received all the same, and dropped: it knows what it needs.
 * When the stream does not end as eof the command is killed, with all that came of it, before one
 * of them could see its input end and take the part for the whole; the guardian sees to that.
 */
#include "command.h"
#include "error.h"
#include "sinks.h"
#include "spool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COPY_SIZE = 16 * 1024,
    TURN = 16, /* copies before other streams have their turn */
    DROPPED_MAX =
        64 << 20 /* bytes of output for a peer that has gone, before the command is told */
};

#define SPOOL_MAX ((uint64_t)1 << 30)

struct exec_context {
    struct lb_guardian guardian;
    struct lb_spools spools;
    uint64_t spool_max;
};

struct exec_state {
    struct lb_command command;
    struct lb_spool spool; /* output that the peer has not taken yet */
    uint64_t dropped;
    bool ending;    /* the command has seen its input end */
    bool peer_gone; /* nobody takes output any more */
    bool killed;
    int failure; /* -errno behind the kill, or 0 */
};

static int exec_open(struct lb_stream *stream, void *context)
{
    struct exec_context *sink = context;
    struct exec_state *state = lb_stream_state(stream);
    struct lb_command *command = &state->command;
    struct lb_guardian_start start = {.id = lb_stream_id(stream)};
    int rc;

    lb_stream_peer(stream, start.peer);
    if (lb_stream_identity(stream))
        snprintf(start.identity, sizeof(start.identity), "%s", lb_stream_identity(stream));
    rc = lb_command_start(command, &sink->guardian, &start);
    if (rc < 0)
        return rc;
    lb_spool_init(&state->spool, &sink->spools, stream, sink->spool_max);
    rc = lb_stream_watch(stream, command->output, POLLIN);
    if (rc == 0) {
        rc = lb_stream_watch(stream, command->control, POLLIN);
        if (rc == 0)
            return 0;
        lb_stream_watch(stream, command->output, 0);
    }
    lb_command_done(command);
    return rc;
}

static void close_watched(struct lb_stream *stream, int *fd)
{
    if (*fd < 0)
        return;
    lb_stream_watch(stream, *fd, 0);
    close(*fd);
    *fd = -1;
}

static ssize_t exec_write(struct lb_stream *stream, void *context, const void *data, size_t size)
{
    struct exec_state *state = lb_stream_state(stream);
    struct lb_command *command = &state->command;
    ssize_t put;
    int rc;

    (void)context;
    do {
        put = write(command->input, data, size);
    } while (put < 0 && errno == EINTR);
    if (put < 0 && errno == EPIPE)
        return (ssize_t)size;
    if (put < 0 && errno != EAGAIN)
        return -errno;
    if (put == (ssize_t)size)
        return put;
    rc = lb_stream_watch(stream, command->input, POLLOUT);
    if (rc < 0)
        return rc;
    return put < 0 ? 0 : put;
}

static int exec_target(struct lb_stream *stream, void *context)
{
    const struct exec_state *state = lb_stream_state(stream);

    (void)context;
    return state->command.input;
}

/* One read of the command's output. Returns bytes, 0 if it was the last, or -errno. */
static ssize_t read_output(struct lb_stream *stream, struct exec_state *state, void *data,
                           size_t size)
{
    ssize_t got;

    do {
        got = read(state->command.output, data, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (got == 0)
        close_watched(stream, &state->command.output);
    return got;
}

/* Before the stream's EOF: what the command writes goes to the spool. */
static int exec_ready(struct lb_stream *stream, void *context)
{
    struct exec_state *state = lb_stream_state(stream);
    uint8_t buffer[COPY_SIZE];

    (void)context;
    if (state->ending || state->killed)
        return 0;
    /* It could not be started: no byte of the stream will be read. */
    if (lb_command_exited(&state->command) && state->command.outcome < 0)
        return state->command.outcome;
    for (int turn = 0; turn < TURN && state->command.output >= 0; turn++) {
        ssize_t got = read_output(stream, state, buffer, sizeof(buffer));
        int rc = 0;

        if (got == -EAGAIN)
            break;
        if (got > 0)
            rc = lb_spool_append(&state->spool, buffer, (size_t)got);
        if (got < 0 || rc < 0)
            return got < 0 ? (int)got : rc;
    }
    if (state->command.output >= 0) {
        int rc = lb_stream_watch(stream, state->command.output, POLLIN);

        if (rc < 0)
            return rc;
    }
    return lb_spool_look(&state->spool);
}

/* Output that nobody will hear never ends a command, but for one that would go on for ever: that
 * one finds its output closed. */
static void drop_output(struct lb_stream *stream, struct exec_state *state, size_t size)
{
    lb_spool_done(&state->spool);
    state->dropped += size;
    if (state->dropped > DROPPED_MAX)
        close_watched(stream, &state->command.output);
}

/* Says bytes to the peer. Returns how many it took, or a negative number: it has gone. */
static ssize_t say_output(struct lb_stream *stream, struct exec_state *state, const void *data,
                          size_t size)
{
    ssize_t said = state->peer_gone ? -EPIPE : lb_stream_say(stream, data, size);

    state->peer_gone |= said < 0 && said != -EAGAIN;
    return said == -EAGAIN ? 0 : said;
}

/* Moves one piece of output towards the peer. Returns 0 if there may be more to do at once,
 * -EAGAIN if the command or the peer must do something first, or another -errno. */
static int forward_some(struct lb_stream *stream, struct exec_state *state)
{
    struct lb_command *command = &state->command;
    bool spooled = lb_spool_waiting(&state->spool) > 0;
    bool had_exited = command->exited;
    uint8_t buffer[COPY_SIZE];
    ssize_t got = spooled ? lb_spool_peek(&state->spool, buffer, sizeof(buffer))
                          : read_output(stream, state, buffer, sizeof(buffer));
    ssize_t said;
    int rc = 0;

    if (got == -EAGAIN && !lb_command_exited(command))
        return lb_stream_watch(stream, command->output, POLLIN) < 0 ? -EIO : -EAGAIN;
    if (got == -EAGAIN) {
        /* A process that the command left behind may hold the output open for ever. Read once more
         * if the exit is news: the command may have written before it. */
        if (had_exited)
            close_watched(stream, &command->output);
        return 0;
    }
    if (got <= 0)
        return (int)got;
    said = say_output(stream, state, buffer, (size_t)got);
    if (said < 0) {
        drop_output(stream, state, (size_t)got);
        return 0;
    }
    if (spooled)
        lb_spool_take(&state->spool, (size_t)said);
    else if (said < got)
        rc = lb_spool_append(&state->spool, buffer + said, (size_t)(got - said));
    if (rc < 0)
        return rc;
    return said == got ? 0 : -EAGAIN;
}

/* Returns 0 once all output is passed on, -EINPROGRESS while there is more to do, or -errno. */
static int forward(struct lb_stream *stream, struct exec_state *state)
{
    for (int turn = 0; turn < TURN; turn++) {
        int rc;

        if (lb_spool_waiting(&state->spool) == 0 && state->command.output < 0)
            return 0;
        rc = forward_some(stream, state);
        if (rc < 0)
            return rc == -EAGAIN ? -EINPROGRESS : rc;
    }
    /* More to do, but others wait too. */
    lb_stream_alarm(stream, 0);
    return -EINPROGRESS;
}

static int release(struct lb_stream *stream, struct exec_state *state, int rc)
{
    struct lb_command *command = &state->command;

    close_watched(stream, &command->control);
    close_watched(stream, &command->output);
    if (command->input >= 0)
        lb_stream_watch(stream, command->input, 0);
    lb_command_done(command);
    lb_spool_done(&state->spool);
    return rc;
}

/* Until it exits there is news of it to come. Returns -EINPROGRESS, or another -errno. */
static int await_exit(struct lb_stream *stream, const struct exec_state *state)
{
    int rc = lb_stream_watch(stream, state->command.control, POLLIN);

    return rc < 0 ? rc : -EINPROGRESS;
}

/* Its input doesn't end by this: the guardian holds it for those that survive the command. */
static int abandon(struct lb_stream *stream, struct exec_state *state)
{
    struct lb_command *command = &state->command;

    if (!state->killed)
        lb_command_kill(command);
    state->killed = true;
    if (!lb_command_exited(command)) {
        if (await_exit(stream, state) == -EINPROGRESS)
            return -EINPROGRESS;
        lb_command_wait(command);
    }
    return release(stream, state, state->failure);
}

static int how_it_went(const struct lb_command *command)
{
    return command->outcome > 0 ? -ECANCELED : command->outcome;
}

static int exec_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct exec_state *state = lb_stream_state(stream);
    struct lb_command *command = &state->command;
    bool exited;
    int rc;

    (void)context;
    if (end != LB_END_EOF || state->killed)
        return abandon(stream, state);
    if (!state->ending) {
        lb_stream_watch(stream, command->input, 0);
        state->ending = true;
        if (!lb_command_end_input(command)) {
            state->failure = -EPIPE;
            return abandon(stream, state);
        }
    }
    rc = lb_spool_look(&state->spool);
    if (rc == 0)
        rc = forward(stream, state);
    exited = lb_command_exited(command);
    if ((rc == 0 || rc == -EINPROGRESS) && !exited)
        rc = await_exit(stream, state);
    if (rc == -EINPROGRESS)
        return rc;
    if (rc < 0) {
        state->failure = rc;
        return abandon(stream, state);
    }
    return release(stream, state, how_it_went(command));
}

static int exec_setup(void **context, const char *argument, const struct lb_sink_options *options,
                      struct lb_error *error)
{
    struct exec_context *sink = calloc(1, sizeof(*sink));
    int rc;

    if (!sink)
        return lb_error_set(error, -ENOMEM, "exec: out of memory");
    rc = lb_spools_init(&sink->spools, "exec", options, error);
    if (rc < 0) {
        free(sink);
        return rc;
    }
    rc = lb_guardian_open(&sink->guardian, argument);
    if (rc < 0) {
        lb_spools_done(&sink->spools);
        free(sink);
        return lb_error_set(error, rc, "exec:%s: the process that guards commands: %s", argument,
                            strerror(-rc));
    }
    sink->spool_max = options->spool_max ? options->spool_max : SPOOL_MAX;
    *context = sink;
    return 0;
}

static int exec_check(void *context, struct lb_error *error)
{
    const struct exec_context *sink = context;
    int rc = lb_guardian_follow(&sink->guardian);

    if (rc < 0)
        return lb_error_set(error, rc,
                            "the process that guards commands can't become that user: %s",
                            strerror(-rc));
    return lb_spools_check(&sink->spools, error);
}

static void exec_teardown(void *context)
{
    struct exec_context *sink = context;

    lb_guardian_close(&sink->guardian);
    lb_spools_done(&sink->spools);
    free(sink);
}

const struct lb_builtin lb_sink_exec = {
    .sink =
        {
            LB_SINK_INIT,
            .name = "exec",
            .state_size = sizeof(struct exec_state),
            .flags = LB_SINK_MAY_PAUSE,
            .needs = LB_NEEDS_PROGRAMS | LB_NEEDS_TEMPORARY,
            .descriptors = 6, /* while it begins: two pipes and the control, both ends */
            .open = exec_open,
            .write = exec_write,
            .target = exec_target,
            .ready = exec_ready,
            .end = exec_end,
            .check = exec_check,
        },
    .argument = "COMMAND",
    .help = "a process per stream; what it prints goes back to the peer",
    .options = LB_OPTION_SPOOL_MAX | LB_OPTION_SPOOL_TOTAL,
    .setup = exec_setup,
    .teardown = exec_teardown,
};
