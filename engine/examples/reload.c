/* SPDX-License-Identifier: MIT */
/*
 * A server that replaces itself while peers come, and loses none: SIGHUP starts the program anew,
 * with the listening sockets; once that has started, the old one serves what it has to the end.
 *
 *     reload ADDRESS DIRECTORY
 *
 * Shows: lb_engine_listener, "fd:N" as an address, lb_engine_end_fd, and a built-in sink. The heir
 * inherits the sockets, and tells by a pipe that it accepts; only then the first one stops.
 */
#include <lastbyte/lastbyte.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SOCKETS = 64 };

/* Runs the program again: its arguments are what to tell when it has started, and the sockets. */
static void exec_heir(const int *sockets, const char *directory, int started)
{
    char names[SOCKETS][16], pipe_name[16];
    char *arguments[SOCKETS + 4] = {(char *)"reload", (char *)directory, pipe_name};

    snprintf(pipe_name, sizeof(pipe_name), "%d", started);
    fcntl(started, F_SETFD, 0); /* it stays open in what is executed */
    for (int i = 0; sockets[i] >= 0; i++) {
        fcntl(sockets[i], F_SETFD, 0);
        snprintf(names[i], sizeof(names[i]), "fd:%d", sockets[i]);
        arguments[3 + i] = names[i];
    }
    execv("/proc/self/exe", arguments);
    _exit(1);
}

/* Returns once the heir accepts, or has failed. The sockets are asked for here, by the process that
 * is going to close them: it then knows that others go on with them. */
static int start_heir(struct lb_engine *engine, const char *directory)
{
    int sockets[SOCKETS + 1], ends[2], count = 0, told;
    char byte;

    while (count < SOCKETS && (sockets[count] = lb_engine_listener(engine, (size_t)count)) >= 0)
        count++;
    sockets[count] = -1;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    if (fork() == 0)
        exec_heir(sockets, directory, ends[1]);
    close(ends[1]);
    told = read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    return told ? 0 : -1;
}

static void serve(struct lb_engine *engine, const char *directory, int signals)
{
    struct pollfd ready[] = {{.fd = lb_engine_end_fd(engine), .events = POLLIN},
                             {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo signal;

    while (!ready[0].revents) {
        if (poll(ready, 2, -1) < 0 || !ready[1].revents)
            continue;
        if (read(signals, &signal, sizeof(signal)) == sizeof(signal) &&
            (signal.ssi_signo == SIGTERM || start_heir(engine, directory) == 0))
            lb_engine_stop(engine);
    }
}

/* Signals that are waited for, and not caught; the heir gets them, too. */
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* reload DIRECTORY PIPE fd:N...: the heir. */
int main(int argc, char **argv)
{
    const char *first[] = {argc > 1 ? argv[1] : ":1090", NULL};
    bool heir = argc > 3;
    const char *directory = heir ? argv[1] : argc > 2 ? argv[2] : ".";
    int signals = block_signals(), rc;
    char specification[300];
    struct lb_config config;
    struct lb_engine *engine = NULL;
    struct lb_error error = {LB_ERROR_INIT};

    snprintf(specification, sizeof(specification), "dir:%s", directory);
    lb_config_init(&config);
    config.listen = heir ? (const char *const *)argv + 3 : first;
    rc = lb_sink_open(&config.sink, &config.sink_context, specification, NULL, &error);
    if (rc == 0)
        rc = lb_engine_open(&engine, &config, &error);
    if (rc == 0)
        rc = lb_engine_start(engine);
    if (rc < 0) {
        fprintf(stderr, "%s\n", error.text[0] ? error.text : strerror(-rc));
        return 1;
    }
    fprintf(stderr, "listening on %s\n", lb_engine_address(engine, 0));
    if (heir && write(atoi(argv[2]), "!", 1) == 1)
        close(atoi(argv[2]));
    serve(engine, directory, signals);
    lb_engine_close(engine);
    return lb_sink_close(config.sink, config.sink_context);
}
