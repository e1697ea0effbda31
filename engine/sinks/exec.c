/* SPDX-License-Identifier: MIT */
/*
 * exec: a command for each stream.
 *
 * The stream is the command's standard input. Its standard output is sent to the peer, but only
 * after the stream's EOF was passed on, as a byte to a peer that still sends may cost bytes. What it
 * writes earlier waits in a spool, so that a command which writes while it reads (cat) never waits
 * for us while we wait for it. The spool has a bound: no longer reading past it would make the two
 * wait for each other for ever, so the stream ends.
 *
 * The command's exit status is the stream's: the end is eof only if it exited with status 0. What it
 * chose not to read (head -1) is received all the same, and dropped: it knows what it needs. When
 * the stream does not end as eof the command is killed before it could see
 * its input end, since it would take the part for the whole.
 */
#include "command.h"
#include "error.h"
#include "sinks.h"
#include "spool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COPY_SIZE = 16 * 1024,
    TURN = 16, /* copies before other streams have their turn */
    EXTRA = 2, /* variables that we add to the environment */
};

#define SPOOL_MAX ((uint64_t)1 << 30)

struct exec_context {
    uint64_t spool_max;
    char **environment; /* ours at set-up, without what we add */
    size_t variables;
    char line[];
};

struct exec_state {
    struct lb_command command;
    struct lb_spool spool; /* output that the peer has not taken yet */
    bool ending;           /* the command has seen its input end */
    bool peer_gone;        /* nobody takes output any more */
    bool killed;
    int failure; /* -errno behind the kill, or 0 */
};

static int start(struct exec_state *state, const struct exec_context *sink,
                 const struct lb_stream *stream)
{
    char **environment = malloc((sink->variables + EXTRA + 1) * sizeof(*environment));
    char peer[LB_PEER_SIZE];
    char peer_variable[LB_PEER_SIZE + sizeof("LASTBYTE_PEER=")];
    char id_variable[sizeof("LASTBYTE_STREAM=") + 20];
    int rc;

    if (!environment)
        return -ENOMEM;
    snprintf(peer_variable, sizeof(peer_variable), "LASTBYTE_PEER=%s",
             lb_stream_peer(stream, peer));
    snprintf(id_variable, sizeof(id_variable), "LASTBYTE_STREAM=%" PRIu64, lb_stream_id(stream));
    memcpy(environment, sink->environment, sink->variables * sizeof(*environment));
    environment[sink->variables] = peer_variable;
    environment[sink->variables + 1] = id_variable;
    environment[sink->variables + EXTRA] = NULL;
    rc = lb_command_start(&state->command, sink->line, environment);
    free(environment);
    return rc;
}

static int exec_open(struct lb_stream *stream, void *context)
{
    const struct exec_context *sink = context;
    struct exec_state *state = lb_stream_state(stream);
    struct lb_command *command = &state->command;
    int rc = start(state, sink, stream);

    if (rc < 0)
        return rc;
    lb_spool_init(&state->spool, sink->spool_max);
    rc = lb_stream_watch(stream, command->output, POLLIN);
    if (rc == 0) {
        rc = lb_stream_watch(stream, command->pid_fd, POLLIN);
        if (rc == 0)
            return 0;
        lb_stream_watch(stream, command->output, 0);
    }
    lb_command_kill(command);
    lb_command_wait(command);
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
    return state->command.output < 0 ? 0 : lb_stream_watch(stream, state->command.output, POLLIN);
}

/* Says bytes to the peer. Returns how many were taken; all of them once it has gone. */
static size_t send_output(struct lb_stream *stream, struct exec_state *state, const void *data,
                          size_t size)
{
    ssize_t said = state->peer_gone ? (ssize_t)size : lb_stream_say(stream, data, size);

    if (said >= 0)
        return (size_t)said;
    if (said == -EAGAIN)
        return 0;
    state->peer_gone = true;
    return size;
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
    size_t sent;

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
    sent = send_output(stream, state, buffer, (size_t)got);
    if (spooled) {
        lb_spool_take(&state->spool, sent);
    } else if (sent < (size_t)got) {
        int rc = lb_spool_append(&state->spool, buffer + sent, (size_t)got - sent);

        if (rc < 0)
            return rc;
    }
    return sent == (size_t)got ? 0 : -EAGAIN;
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

    close_watched(stream, &command->pid_fd);
    close_watched(stream, &command->input);
    close_watched(stream, &command->output);
    lb_command_done(command);
    lb_spool_done(&state->spool);
    return rc;
}

/* Its input is closed only when it has gone, so that it can't take the part for the whole. */
static int abandon(struct lb_stream *stream, struct exec_state *state)
{
    struct lb_command *command = &state->command;

    if (!lb_command_exited(command)) {
        if (!state->killed)
            lb_command_kill(command);
        state->killed = true;
        if (lb_stream_watch(stream, command->pid_fd, POLLIN) == 0)
            return -EINPROGRESS;
        lb_command_wait(command);
    }
    return release(stream, state, state->failure);
}

static int exec_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct exec_state *state = lb_stream_state(stream);
    struct lb_command *command = &state->command;
    int rc;

    (void)context;
    if (end != LB_END_EOF || state->killed)
        return abandon(stream, state);
    if (!state->ending) {
        close_watched(stream, &command->input);
        state->ending = true;
    }
    rc = forward(stream, state);
    if (rc == 0 && !lb_command_exited(command))
        rc = -EINPROGRESS;
    if (rc == -EINPROGRESS && !command->exited &&
        lb_stream_watch(stream, command->pid_fd, POLLIN) < 0)
        rc = -EIO;
    if (rc == -EINPROGRESS)
        return rc;
    if (rc < 0) {
        state->failure = rc;
        return abandon(stream, state);
    }
    return release(stream, state, command->successful ? 0 : -ECANCELED);
}

static bool is_ours(const char *variable)
{
    static const char *const names[EXTRA] = {"LASTBYTE_PEER=", "LASTBYTE_STREAM="};

    for (size_t i = 0; i < EXTRA; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool copy_environment(struct exec_context *sink)
{
    size_t count = 0;

    while (environ && environ[count])
        count++;
    sink->environment = calloc(count + 1, sizeof(*sink->environment));
    if (!sink->environment)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_ours(environ[i]))
            sink->environment[sink->variables++] = environ[i];
    return true;
}

static int exec_setup(void **context, const char *argument, const struct lb_sink_options *options,
                      struct lb_error *error)
{
    size_t size = strlen(argument) + 1;
    struct exec_context *sink;
    struct sigaction action;

    /* The kernel reaps for a process that ignores SIGCHLD, and forgets the exit status. */
    if (sigaction(SIGCHLD, NULL, &action) == 0 &&
        (action.sa_handler == SIG_IGN || action.sa_flags & SA_NOCLDWAIT))
        return lb_error_set(error, -ECHILD,
                            "exec:%s: this process ignores SIGCHLD, so exit statuses are lost; set "
                            "it to its default",
                            argument);
    if (lb_command_check() < 0)
        return lb_error_set(error, -ENOSYS,
                            "exec:%s: this kernel has no pidfd_open; Linux 5.3 or newer is needed",
                            argument);
    sink = calloc(1, sizeof(*sink) + size);
    if (!sink || !copy_environment(sink)) {
        free(sink);
        return lb_error_set(error, -ENOMEM, "exec: out of memory");
    }
    memcpy(sink->line, argument, size);
    sink->spool_max = options->spool_max ? options->spool_max : SPOOL_MAX;
    *context = sink;
    return 0;
}

static void exec_teardown(void *context)
{
    struct exec_context *sink = context;

    free(sink->environment);
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
            .descriptors = 4, /* two pipes, the process, the spool */
            .open = exec_open,
            .write = exec_write,
            .target = exec_target,
            .ready = exec_ready,
            .end = exec_end,
        },
    .argument = "COMMAND",
    .help = "a process per stream; what it prints goes back to the peer",
    .options = LB_OPTION_SPOOL_MAX,
    .setup = exec_setup,
    .teardown = exec_teardown,
};
