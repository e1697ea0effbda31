/* SPDX-License-Identifier: MIT */
/* Splicing by itself: what it moves, what it leaves, and what it says. */
#include "unit.h"

#include "pipe.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 100000, MOST = 1 << 20 };

struct rig {
    struct lb_pipe splice;
    int socket, peer;
    int file; /* empty, unlinked */
    uint8_t sent[SIZE], got[SIZE];
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    const int room = 4 * SIZE;
    char path[] = "/tmp/lastbyte-splice-XXXXXX";
    int pair[2];

    *state = rig;
    if (!rig || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -1;
    rig->socket = pair[0];
    rig->peer = pair[1];
    setsockopt(rig->peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    rig->file = mkstemp(path);
    unlink(path);
    lb_pipe_init(&rig->splice);
    payload_fill(1, 0, rig->sent, SIZE);
    return rig->file < 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    lb_pipe_done(&rig->splice);
    close(rig->socket);
    close(rig->peer);
    close(rig->file);
    free(rig);
    return 0;
}

static ssize_t move(struct rig *rig, int target, enum lb_way way, size_t most)
{
    return lb_pipe_move(&rig->splice, rig->socket, target, way, most);
}

static void prepares_for_pipes_and_files_only(void **state)
{
    struct rig *rig = *state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(lb_pipe_prepare(&rig->splice, rig->file), LB_WAY_TO_FILE);
    assert_int_equal(lb_pipe_prepare(&rig->splice, ends[1]), LB_WAY_TO_PIPE);
    assert_int_equal(lb_pipe_prepare(&rig->splice, null), LB_WAY_CHUNKS);
    assert_int_equal(lb_pipe_prepare(&rig->splice, rig->peer), LB_WAY_CHUNKS);
    assert_int_equal(lb_pipe_prepare(&rig->splice, -1), LB_WAY_CHUNKS);
    assert_int_equal(fcntl(rig->file, F_SETFL, O_APPEND), 0);
    assert_int_equal(lb_pipe_prepare(&rig->splice, rig->file), LB_WAY_CHUNKS);
    close(null);
    close(ends[0]);
    close(ends[1]);
}

/* Piece by piece, no more than asked for, and then it says that there is nothing. */
static void moves_to_a_file(void **state)
{
    struct rig *rig = *state;
    ssize_t total = 0;

    lb_pipe_prepare(&rig->splice, rig->file);
    assert_int_equal(fcntl(rig->socket, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(peer_send(rig->peer, rig->sent, SIZE), 0);
    while (total < SIZE) {
        ssize_t moved = move(rig, rig->file, LB_WAY_TO_FILE, 30000);

        assert_in_range(moved, 1, 30000);
        total += moved;
    }
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, MOST), -EAGAIN);
    assert_int_equal(pread(rig->file, rig->got, SIZE, 0), SIZE);
    assert_memory_equal(rig->sent, rig->got, SIZE);
    /* The end: to be found out by a receive. */
    assert_int_equal(shutdown(rig->peer, SHUT_WR), 0);
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, MOST), 0);
    assert_int_equal(rig->splice.waiting, 0);
}

/* What a pipe has no room for stays in the socket. */
static void fills_a_pipe(void **state)
{
    struct rig *rig = *state;
    ssize_t total = 0, moved;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(rig->socket, F_SETFL, O_NONBLOCK), 0);
    /* Not prepared: it keeps its 16 pages. One byte each fills it. */
    assert_int_equal(peer_send(rig->peer, rig->sent, SIZE), 0);
    while ((moved = move(rig, ends[1], LB_WAY_TO_PIPE, 1)) == 1)
        total++;
    assert_int_equal(moved, -ENOBUFS);
    assert_int_equal(read(ends[0], rig->got, SIZE), total);
    assert_int_equal(move(rig, ends[1], LB_WAY_TO_PIPE, 10), 10);
    assert_int_equal(read(ends[0], rig->got + total, (size_t)(SIZE - total)), 10);
    assert_memory_equal(rig->sent, rig->got, (size_t)total + 10);
    assert_int_equal(recv(rig->socket, rig->got, SIZE, 0), SIZE - total - 10);
    assert_int_equal(move(rig, ends[1], LB_WAY_TO_PIPE, 10), -EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

/* A file that refuses: what came out of the socket waits, in order. */
static void keeps_what_a_file_refuses(void **state)
{
    struct rig *rig = *state;
    size_t total = 0;

    lb_pipe_prepare(&rig->splice, rig->file);
    assert_int_equal(fcntl(rig->file, F_SETFL, O_APPEND), 0);
    assert_int_equal(peer_send(rig->peer, rig->sent, SIZE), 0);
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, 50000), 0);
    assert_in_range(rig->splice.waiting, 1, 50000);
    while (rig->splice.waiting > 0)
        total += (size_t)lb_pipe_take(&rig->splice, rig->got + total, 1000);
    assert_memory_equal(rig->sent, rig->got, total);
    assert_int_equal(recv(rig->socket, rig->got, SIZE, 0), SIZE - (ssize_t)total);
    assert_memory_equal(rig->sent + total, rig->got, SIZE - total);
}

static void forgets_what_is_dropped(void **state)
{
    struct rig *rig = *state;

    lb_pipe_prepare(&rig->splice, rig->file);
    assert_int_equal(fcntl(rig->file, F_SETFL, O_APPEND), 0);
    assert_int_equal(peer_send(rig->peer, rig->sent, 1000), 0);
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, MOST), 0);
    assert_int_equal(rig->splice.waiting, 1000);
    lb_pipe_done(&rig->splice);
    assert_int_equal(rig->splice.waiting, 0);
    assert_int_equal(fcntl(rig->file, F_SETFL, 0), 0);
    assert_int_equal(peer_send(rig->peer, rig->sent + 1000, 7), 0);
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, MOST), 7);
    assert_int_equal(pread(rig->file, rig->got, SIZE, 0), 7);
    assert_memory_equal(rig->sent + 1000, rig->got, 7);
}

static void tells_the_sockets_error(void **state)
{
    struct rig *rig = *state;

    lb_pipe_prepare(&rig->splice, rig->file);
    /* Closed with a byte of ours unread. */
    assert_int_equal(send(rig->socket, "x", 1, 0), 1);
    close(rig->peer);
    rig->peer = -1;
    assert_int_equal(move(rig, rig->file, LB_WAY_TO_FILE, MOST), -ECONNRESET);
    assert_int_equal(rig->splice.waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prepares_for_pipes_and_files_only, setup, teardown),
        cmocka_unit_test_setup_teardown(moves_to_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(fills_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_what_a_file_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_what_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_the_sockets_error, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
