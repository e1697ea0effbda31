/* SPDX-License-Identifier: MIT */
/* The guardian by itself: what a server says that is no longer itself, and what waits while it is
 * busy. */
#include "unit.h"

#include "guardian.h"
#include "rights.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both ends of what comes with a request; [0] of each is ours. */
struct request {
    int input[2], output[2], control[2];
    int fds[LB_GUARDIAN_FDS + 1]; /* one more than belongs there */
};

static void request_open(struct request *request)
{
    int pipes[2][2];

    assert_int_equal(pipe2(pipes[0], O_CLOEXEC), 0);
    assert_int_equal(pipe2(pipes[1], O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, request->control), 0);
    *request = (struct request){
        .input = {pipes[0][1], pipes[0][0]},
        .output = {pipes[1][1], pipes[1][0]},
        .control = {request->control[0], request->control[1]},
    };
    request->fds[LB_GUARDIAN_INPUT] = request->input[1];
    request->fds[LB_GUARDIAN_INPUT_HELD] = request->input[0];
    request->fds[LB_GUARDIAN_OUTPUT] = request->output[0];
    request->fds[LB_GUARDIAN_OUTPUT_HELD] = request->output[1];
    request->fds[LB_GUARDIAN_CONTROL] = request->control[1];
    request->fds[LB_GUARDIAN_FDS] = request->control[1];
}

/* Keeps our side: the input's and the output's writing end, and the control. */
static void request_give_away(const struct request *request)
{
    close(request->input[1]);
    close(request->output[1]);
    close(request->control[1]);
}

static void request_close(const struct request *request)
{
    close(request->input[0]);
    close(request->output[0]);
    close(request->control[0]);
}

static int say(const struct lb_guardian *guardian, const void *data, size_t size, const int *fds,
               unsigned count)
{
    char control[CMSG_SPACE((LB_GUARDIAN_FDS + 1) * sizeof(int))] = {0};
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *header;

    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    return sendmsg(guardian->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What comes by the control: how a command went, or -EPIPE if that was closed. */
static int await_outcome(const struct request *request)
{
    struct pollfd poller = {.fd = request->control[0], .events = POLLIN};
    int outcome = -EPIPE;

    assert_int_equal(poll(&poller, 1, patience_ms()), 1);
    recv(request->control[0], &outcome, sizeof(outcome), 0);
    return outcome;
}

/* It still does what it is for. */
static void expect_served(const struct lb_guardian *guardian)
{
    const struct lb_guardian_start start = {.id = 7, .peer = "peer"};
    struct request request;

    request_open(&request);
    assert_int_equal(lb_guardian_ask(guardian, &start, request.fds), 0);
    request_give_away(&request);
    assert_int_equal(await_outcome(&request), 0);
    request_close(&request);
}

static void expect_refused(const struct lb_guardian *guardian, size_t size, unsigned count)
{
    const struct lb_guardian_start start = {.id = 7, .peer = "peer"};
    struct request request;

    request_open(&request);
    assert_int_equal(say(guardian, &start, size, request.fds, count), 0);
    request_give_away(&request);
    assert_int_equal(await_outcome(&request), -EPIPE);
    request_close(&request);
}

static void a_request_is_whole_or_none(void **state)
{
    struct lb_guardian guardian;

    (void)state;
    assert_int_equal(lb_guardian_open(&guardian, "exit 0"), 0);
    expect_served(&guardian);
    expect_refused(&guardian, sizeof(struct lb_guardian_start), LB_GUARDIAN_FDS + 1);
    expect_refused(&guardian, sizeof(struct lb_guardian_start), LB_GUARDIAN_FDS - 1);
    expect_refused(&guardian, 1, LB_GUARDIAN_FDS);
    expect_served(&guardian);
    lb_guardian_close(&guardian);
}

/* Groups that the message doesn't have would be what happens to be in memory. */
static void rights_are_whole_or_none(void **state)
{
    struct lb_guardian guardian;
    struct lb_rights rights;
    size_t size;

    (void)state;
    assert_int_equal(lb_guardian_open(&guardian, "exit 0"), 0);
    assert_int_equal(lb_rights_get(&rights), 0);
    size = lb_rights_size(&rights);
    rights.group_count++;
    assert_int_equal(say(&guardian, &rights, size, NULL, 0), 0);
    rights.group_count = -1;
    assert_int_equal(say(&guardian, &rights, size, NULL, 0), 0);
    /* Neither has an answer, and this has its own. */
    expect_served(&guardian);
    assert_true(recv(guardian.fd, &size, sizeof(size), MSG_DONTWAIT) < 0);
    assert_int_equal(lb_guardian_follow(&guardian), 0);
    expect_served(&guardian);
    lb_guardian_close(&guardian);
}

enum { TALKERS = 3 };

struct talk {
    const struct lb_guardian *guardian;
    atomic_bool over;
};

static void *talk_on(void *argument)
{
    struct talk *talk = argument;

    while (!atomic_load(&talk->over))
        say(talk->guardian, "", 1, NULL, 0);
    return NULL;
}

/* However much is said to it meanwhile: what it holds for a command that is dead is let go of. */
static void a_busy_guardian_lets_go(void **state)
{
    const struct lb_guardian_start start = {.id = 7, .peer = "peer"};
    const char word = LB_GUARDIAN_KILL;
    struct lb_guardian guardian;
    struct talk talk = {.guardian = &guardian};
    pthread_t talkers[TALKERS];
    struct request request;
    struct pollfd output;

    (void)state;
    assert_int_equal(lb_guardian_open(&guardian, "exec sleep 1000"), 0);
    request_open(&request);
    assert_int_equal(lb_guardian_ask(&guardian, &start, request.fds), 0);
    request_give_away(&request);
    for (int i = 0; i < TALKERS; i++)
        assert_int_equal(pthread_create(&talkers[i], NULL, talk_on, &talk), 0);
    assert_int_equal(send(request.control[0], &word, sizeof(word), MSG_NOSIGNAL), sizeof(word));
    assert_int_equal(await_outcome(&request), 1);
    close(request.control[0]);
    output = (struct pollfd){.fd = request.output[0]};
    assert_int_equal(poll(&output, 1, patience_ms() / 10), 1);
    atomic_store(&talk.over, true);
    for (int i = 0; i < TALKERS; i++)
        pthread_join(talkers[i], NULL);
    close(request.input[0]);
    close(request.output[0]);
    lb_guardian_close(&guardian);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_or_none),
        cmocka_unit_test(rights_are_whole_or_none),
        cmocka_unit_test(a_busy_guardian_lets_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
