/* SPDX-License-Identifier: MIT */
/* A process with an engine that forks: the child holds copies of all descriptors, and must do no
 * harm with them. */
#include "suite.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that holds what it has inherited until it is told to go. */
static pid_t fork_holder(struct server *server)
{
    pid_t child = fork();

    CHECK(server, child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a case that has failed */
        for (;;)
            pause();
    }
    return child;
}

static void end_holder(struct server *server, pid_t child)
{
    CHECK_SAME(server, kill(child, SIGKILL), 0);
    CHECK_SAME(server, waitpid(child, NULL, 0), child);
}

static ssize_t fail_the_second(struct ledger_entry *entry, struct lb_stream *stream,
                               const void *data, size_t size)
{
    (void)entry;
    (void)data;
    return lb_stream_id(stream) == 2 ? -ENOSPC : (ssize_t)size;
}

/* Peers see how their streams end, though a child has their connections, too. */
static void a_child_that_holds_connections(void **state)
{
    struct server *server = *state;
    char byte;
    pid_t child;
    int fd;

    server->ledger.hooks.write = fail_the_second;
    server_begin(server, 2);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 1000, 1000));
    server_await_tag(server, 1);
    child = fork_holder(server);
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_await_ends(server, 1);
    end_holder(server, child);

    fd = server_connect(server);
    AWAIT(server, atomic_load(&server->ledger.opened) == 2);
    child = fork_holder(server);
    CHECK_OK(server, peer_send(fd, "x", 1));
    CHECK_SAME(server, recv(fd, &byte, 1, 0), suite_is_tcp() ? -1 : 0);
    CHECK(server, !suite_is_tcp() || errno == ECONNRESET);
    close(fd);
    server_await_ends(server, 2);
    end_holder(server, child);
    server_finish(server);
}

/* New peers are refused once the engine has stopped, though a child has its sockets. */
static void a_child_that_holds_listeners(void **state)
{
    struct server *server = *state;
    char address[200];
    pid_t child;

    server_begin(server, 1);
    snprintf(address, sizeof(address), "%s", server->address);
    child = fork_holder(server);
    server_finish(server);
    CHECK(server, peer_connect(address) < 0);
    end_holder(server, child);
}

/* In the child: what an engine of the parent's refuses, and what its close leaves alone. */
static int misuse_it(struct lb_engine *engine)
{
    if (lb_engine_start(engine) != -ECHILD)
        return 1;
    if (lb_engine_wait(engine, 0) != -EINVAL && lb_engine_wait(engine, 0) != -ECHILD)
        return 2;
    if (lb_engine_listener(engine, 0) != -ECHILD)
        return 4;
    if (lb_engine_wake(engine, 1) != -ECHILD || lb_engine_end(engine, 1) != -ECHILD)
        return 5;
    if (lb_engine_adopt(engine, -1, NULL, 0, NULL) != -ECHILD)
        return 6;
    if (lb_engine_streams(engine, NULL, 0) != -ECHILD)
        return 7;
    return lb_engine_close(engine) == 0 ? 0 : 3;
}

static void misuse_in_child(struct server *server)
{
    pid_t child = fork();
    int status = -1;

    CHECK(server, child >= 0);
    if (child == 0)
        _exit(misuse_it(server->engine));
    CHECK_SAME(server, waitpid(child, &status, 0), child);
    CHECK_SAME(server, status, 0);
}

static void a_child_closes_it(void **state)
{
    struct server *server = *state;
    struct stat file;
    int fd;

    server_open(server, 1);
    misuse_in_child(server);
    server_start(server);
    misuse_in_child(server);
    if (!suite_is_tcp())
        CHECK_SAME(server, lstat(server->address + strlen("unix:"), &file), 0);
    fd = server_connect(server);
    CHECK_OK(server, peer_send_payload(fd, 1, 0, 1000, 1000));
    CHECK_OK(server, peer_finish(fd, NULL, 0));
    server_await_ends(server, 1);
    server_check_payload(server, 1, 1000, LB_END_EOF);
    server_finish(server);
}

const struct test_case forked_cases[] = {
    {"a_child_that_holds_connections", a_child_that_holds_connections, FAMILY_ANY, 0},
    {"a_child_that_holds_listeners", a_child_that_holds_listeners, FAMILY_ANY, 0},
    {"a_child_closes_it", a_child_closes_it, FAMILY_ANY, 0},
    {NULL, NULL, 0, 0},
};
