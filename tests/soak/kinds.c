/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "payload.h"
#include "tools/command/receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SWARM = 30,
    CROWD = 10,
    VICTIMS = 4,
    ANSWER_SIZE = 2 * RECEIPT_SIZE,
    DRIP_MS = 300,
    TRICKLE = 16,
};

void peer_violate(struct peer *peer, const char *format, ...)
{
    va_list arguments;

    if (peer->violation[0])
        return;
    va_start(arguments, format);
    vsnprintf(peer->violation, sizeof(peer->violation), format, arguments);
    va_end(arguments);
}

static uint32_t between(struct peer *peer, uint32_t low, uint32_t high)
{
    return (uint32_t)random_between(&peer->random, low, high);
}

static void add(struct bounds *bounds, uint64_t least, uint64_t most)
{
    bounds->least += least;
    bounds->most += most;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int connect_peer(struct peer *peer)
{
    int fd = peer_connect(peer->address);

    if (fd < 0)
        peer_violate(peer, "connect: %s", strerror(-fd));
    return fd;
}

/* Sends the bytes up to end, and notes that they will arrive. */
static void send_surely(struct peer *peer, int fd, uint64_t tag, uint64_t end, uint32_t write_max)
{
    int rc = peer_send_payload(fd, tag, 0, end, between(peer, 1 + write_max / 8, write_max + 1));

    if (rc < 0)
        peer_violate(peer, "sending %" PRIu64 " bytes: %s", end, strerror(-rc));
    add(&peer->book.bytes, end, end);
}

static void ends_well(struct peer *peer)
{
    add(&peer->book.accepted, 1, 1);
    add(&peer->book.eof, 1, 1);
}

static void end_stream(struct peer *peer, int fd)
{
    if (shutdown(fd, SHUT_WR) < 0)
        peer_violate(peer, "shutdown: %m");
    ends_well(peer);
}

/* All that comes until the server's end, as far as there is room. */
static size_t read_answer(struct peer *peer, int fd, char *answer, size_t room)
{
    size_t size = 0;
    ssize_t part;

    while (size < room && (part = recv(fd, answer + size, room - size, 0)) > 0)
        size += (size_t)part;
    if (size < room && part < 0)
        peer_violate(peer, "waiting for the receipt: %m");
    return size;
}

/* The receipt must prove exactly what was sent. */
static void await_proof(struct peer *peer, int fd, uint64_t tag, uint32_t size)
{
    XXH128_hash_t digest = payload_digest(tag, size);
    char answer[ANSWER_SIZE], wanted[40];
    struct receipt receipt;
    size_t length;

    length = read_answer(peer, fd, answer, sizeof(answer));
    snprintf(wanted, sizeof(wanted), "%016" PRIx64 "%016" PRIx64, digest.high64, digest.low64);
    if (receipt_read(&receipt, answer, length) < 0 || !receipt.ok || receipt.bytes != size ||
        strcmp(receipt.digest, wanted) != 0)
        peer_violate(peer, "%u bytes, digest %s; the answer was \"%.*s\"", size, wanted,
                     (int)length, answer);
    peer->book.proven++;
    peer->book.proven_bytes += size;
    close(fd);
}

static void send_whole(struct peer *peer, uint32_t size, uint32_t write_max)
{
    uint64_t tag = soak_tag(random_next(&peer->random), size, false);
    int fd = connect_peer(peer);

    if (fd < 0)
        return;
    send_surely(peer, fd, tag, size, write_max);
    end_stream(peer, fd);
    await_proof(peer, fd, tag, size);
}

/* ---- honest peers ---------------------------------------------------------------------------- */

static void middling(struct peer *peer)
{
    send_whole(peer, between(peer, 8, 64 << 10), 32 << 10);
}

static void huge(struct peer *peer)
{
    send_whole(peer, between(peer, 1 << 20, SOAK_MAX_BYTES), 256 << 10);
}

static void empty(struct peer *peer)
{
    send_whole(peer, 0, 1);
}

static void swarm(struct peer *peer)
{
    for (int i = 0; i < SWARM; i++)
        send_whole(peer, between(peer, 1, 200), 200);
}

/* All at once, and the last comes first. */
static void crowd(struct peer *peer)
{
    int fds[CROWD];
    uint64_t tags[CROWD];
    uint32_t sizes[CROWD];

    for (int i = 0; i < CROWD; i++) {
        fds[i] = connect_peer(peer);
        sizes[i] = between(peer, 8, 4096);
        tags[i] = soak_tag(random_next(&peer->random), sizes[i], false);
        if (fds[i] >= 0)
            send_surely(peer, fds[i], tags[i], sizes[i], 4096);
    }
    for (int i = CROWD - 1; i >= 0; i--)
        if (fds[i] >= 0)
            end_stream(peer, fds[i]);
    for (int i = 0; i < CROWD; i++)
        if (fds[i] >= 0)
            await_proof(peer, fds[i], tags[i], sizes[i]);
}

/* Slow, but not as slow as a loris. */
static void trickle(struct peer *peer)
{
    uint32_t size = TRICKLE * between(peer, 10, 40);
    uint64_t tag = soak_tag(random_next(&peer->random), size, false);
    int fd = connect_peer(peer);

    if (fd < 0)
        return;
    for (uint32_t at = 0; at < size; at += TRICKLE) {
        if (peer_send_payload(fd, tag, at, at + TRICKLE, TRICKLE) < 0)
            peer_violate(peer, "a trickle was stopped");
        time_nap();
    }
    add(&peer->book.bytes, size, size);
    end_stream(peer, fd);
    await_proof(peer, fd, tag, size);
}

/* Ends its stream, and never hears whether it arrived. One who half-closes and leaves at once may
 * be gone before that is seen. */
static void deaf(struct peer *peer)
{
    uint32_t size = between(peer, 8, 64 << 10);
    bool half_closes = between(peer, 0, 1);
    int fd = connect_peer(peer);

    if (fd < 0)
        return;
    send_surely(peer, fd, soak_tag(random_next(&peer->random), size, false), size, 16 << 10);
    if (half_closes)
        shutdown(fd, SHUT_WR);
    close(fd);
    add(&peer->book.accepted, 1, 1);
    add(&peer->book.eof, !peer->local, !peer->local || half_closes);
    add(&peer->book.truncated, peer->local && !half_closes, peer->local);
}

/* ---- dying ones ------------------------------------------------------------------------------ */

/* Where there is no reset, a close alone cuts a stream as well. */
static void leave_by_reset(struct peer *peer, int fd, uint64_t sent)
{
    if (peer->local) {
        close(fd);
        add(&peer->book.accepted, 1, 1);
        add(&peer->book.truncated, 1, 1);
        add(&peer->book.bytes, sent, sent);
        return;
    }
    peer_reset(fd);
    add(&peer->book.accepted, 0, 1);
    add(&peer->book.reset, 0, 1);
    add(&peer->book.bytes, 0, sent);
}

static void resets(struct peer *peer)
{
    uint32_t sent = between(peer, 1, 16 << 10);
    uint64_t tag = soak_tag(random_next(&peer->random), sent + 1, true);
    int fd = connect_peer(peer);

    if (fd < 0)
        return;
    if (peer_send_payload(fd, tag, 0, sent, 8 << 10) < 0)
        peer_violate(peer, "sending before a reset failed");
    leave_by_reset(peer, fd, sent);
}

static void vanishes(struct peer *peer)
{
    int fd = connect_peer(peer);

    if (fd >= 0)
        leave_by_reset(peer, fd, 0);
}

/* What a victim did, for those who survive it. */
struct will {
    _Atomic uint64_t tried, connected;
    _Atomic uint64_t sending, sent; /* bytes that were begun to be sent, and those that were */
};

static void live(const struct peer *peer, struct will *will, uint64_t random)
{
    enum { PIECE = 8 << 10 };
    uint32_t rest = (uint32_t)random_between(&random, 0, 3);
    int fds[VICTIMS];

    for (int i = 0; i < VICTIMS; i++) {
        will->tried++;
        fds[i] = peer_connect(peer->address);
        if (fds[i] < 0)
            _exit(1);
        will->connected++;
    }
    for (uint32_t turn = 0; turn < 8 + rest; turn++) {
        for (int i = 0; i < VICTIMS; i++) {
            uint64_t tag = soak_tag((uint64_t)i, SOAK_MAX_BYTES, true);

            will->sending += PIECE;
            if (peer_send_payload(fds[i], tag, turn * PIECE, (turn + 1) * PIECE, PIECE) < 0)
                _exit(1);
            will->sent += PIECE;
        }
    }
    pause();
    _exit(1);
}

static void killed(struct peer *peer)
{
    struct will *will =
        mmap(NULL, sizeof(*will), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t random = random_next(&peer->random);
    int status = 0;
    pid_t pid;

    if (will == MAP_FAILED)
        return;
    pid = fork();
    if (pid == 0)
        live(peer, will, random);
    for (uint32_t naps = between(peer, 0, 20); naps > 0; naps--)
        time_nap();
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status))
        peer_violate(peer, "a victim died by itself");
    add(&peer->book.accepted, will->connected, will->tried);
    add(peer->local ? &peer->book.truncated : &peer->book.eof, will->connected, will->tried);
    add(&peer->book.bytes, will->sent, will->sending);
    munmap(will, sizeof(*will));
}

/* ---- hostile ones ---------------------------------------------------------------------------- */

static void drop_answer(int fd)
{
    char answer[ANSWER_SIZE];

    while (recv(fd, answer, sizeof(answer), 0) > 0)
        ;
    close(fd);
}

static void over_the_limit(struct peer *peer)
{
    uint64_t tag = soak_tag(random_next(&peer->random), 0x7fffffff, true);
    int fd = connect_peer(peer);

    if (fd < 0)
        return;
    /* It can't tell how far it came. */
    (void)peer_send_payload(fd, tag, 0, SOAK_MAX_BYTES + between(peer, 1, 1 << 20), 128 << 10);
    drop_answer(fd);
    add(&peer->book.accepted, 1, 1);
    add(&peer->book.limit, 1, 1);
    add(&peer->book.bytes, 0, SOAK_MAX_BYTES);
}

static void linger(struct peer *peer, bool drips)
{
    struct lingerer *free = peer->lingerers;
    uint64_t tag = soak_tag(random_next(&peer->random), 0x7fffffff, true);

    while (free < peer->lingerers + LINGERERS && free->fd >= 0)
        free++;
    if (free == peer->lingerers + LINGERERS)
        return;
    free->fd = connect_peer(peer);
    if (free->fd < 0)
        return;
    free->drips = drips;
    free->tag = tag;
    free->sent = PAYLOAD_TAG_SIZE;
    free->next_ns = 0;
    send_surely(peer, free->fd, tag, PAYLOAD_TAG_SIZE, PAYLOAD_TAG_SIZE);
    add(&peer->book.accepted, 1, 1);
    /* It drips only while its thread has time for it. */
    add(&peer->book.timeout, !drips, 1);
    add(&peer->book.limit, 0, drips);
}

static void idle(struct peer *peer)
{
    linger(peer, false);
}

static void loris(struct peer *peer)
{
    linger(peer, true);
}

/* A byte now and then, as if it were still there. */
static void drip(struct peer *peer, struct lingerer *lingerer)
{
    uint64_t now = time_now_ns();
    uint8_t byte;

    if (now < lingerer->next_ns)
        return;
    lingerer->next_ns = now + DRIP_MS * UINT64_C(1000000);
    payload_fill(lingerer->tag, lingerer->sent, &byte, 1);
    if (send(lingerer->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return;
    lingerer->sent++;
    add(&peer->book.bytes, 0, 1);
}

unsigned peer_tend_lingerers(struct peer *peer)
{
    unsigned left = 0;

    for (int i = 0; i < LINGERERS; i++) {
        struct lingerer *lingerer = &peer->lingerers[i];
        char byte;
        ssize_t size;

        if (lingerer->fd < 0)
            continue;
        if (lingerer->drips)
            drip(peer, lingerer);
        size = recv(lingerer->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        if (size < 0 && errno == EAGAIN) {
            left++;
            continue;
        }
        drop_answer(lingerer->fd);
        lingerer->fd = -1;
    }
    return left;
}

const struct kind soak_kinds[] = {
    {"middling", 30, middling},  {"huge", 2, huge},
    {"empty", 6, empty},         {"swarm", 6, swarm},
    {"crowd", 4, crowd},         {"trickle", 2, trickle},
    {"deaf", 10, deaf},          {"resets", 12, resets},
    {"vanishes", 8, vanishes},   {"killed", 6, killed},
    {"over", 1, over_the_limit}, {"idle", 6, idle},
    {"loris", 6, loris},         {NULL, 0, NULL},
};
