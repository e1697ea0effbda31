/* SPDX-License-Identifier: MIT */
/*
 * The soak's peers: peers SECONDS SEED ADDRESS... plays every kind at every address, first each
 * once, then at random until the time is over, and waits until the servers have ended them all. It
 * prints a line of JSON for each address: what must be in the server's books. Fails if a peer was
 * treated as it must not be.
 */
#include "peer.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESSES_MAX = 64, KINDS_MAX = 32 };

struct party {
    pthread_t thread;
    struct peer peer;
    uint64_t until_ns;
    uint64_t played[KINDS_MAX];
};

static unsigned pick(struct peer *peer)
{
    uint64_t total = 0, at;
    unsigned kind = 0;

    for (unsigned i = 0; soak_kinds[i].name; i++)
        total += soak_kinds[i].weight;
    at = random_between(&peer->random, 0, total - 1);
    while (at >= soak_kinds[kind].weight)
        at -= soak_kinds[kind++].weight;
    return kind;
}

static void play(struct party *party, unsigned kind)
{
    soak_kinds[kind].play(&party->peer);
    party->played[kind]++;
    peer_tend_lingerers(&party->peer);
}

static void *run(void *argument)
{
    struct party *party = argument;
    struct peer *peer = &party->peer;
    uint64_t deadline;

    for (unsigned kind = 0; soak_kinds[kind].name && !peer->violation[0]; kind++)
        play(party, kind);
    while (time_now_ns() < party->until_ns && !peer->violation[0])
        play(party, pick(peer));
    deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    while (peer_tend_lingerers(peer) > 0 && !peer->violation[0]) {
        time_nap();
        if (time_now_ns() > deadline)
            peer_violate(peer, "a silent or slow peer is not ended");
    }
    return NULL;
}

static void begin(struct party *party, const char *address, uint64_t seed, uint64_t until_ns)
{
    party->peer.address = address;
    party->peer.local = strncmp(address, "unix:", strlen("unix:")) == 0;
    party->peer.random = random_next(&seed);
    party->until_ns = until_ns;
    for (int i = 0; i < LINGERERS; i++)
        party->peer.lingerers[i].fd = -1;
    if (pthread_create(&party->thread, NULL, run, party) != 0)
        abort();
}

static void print_bounds(const char *name, const struct bounds *bounds)
{
    printf(", \"%s\": [%" PRIu64 ", %" PRIu64 "]", name, bounds->least, bounds->most);
}

static void print_book(const struct party *party)
{
    const struct book *book = &party->peer.book;

    printf("{\"address\": \"%s\"", party->peer.address);
    print_bounds("accepted", &book->accepted);
    print_bounds("bytes", &book->bytes);
    print_bounds("eof", &book->eof);
    print_bounds("reset", &book->reset);
    print_bounds("timeout", &book->timeout);
    print_bounds("limit", &book->limit);
    print_bounds("truncated", &book->truncated);
    printf(", \"proven\": %" PRIu64 ", \"proven_bytes\": %" PRIu64 ", \"kinds\": {", book->proven,
           book->proven_bytes);
    for (unsigned i = 0; soak_kinds[i].name; i++)
        printf("%s\"%s\": %" PRIu64, i ? ", " : "", soak_kinds[i].name, party->played[i]);
    printf("}}\n");
}

int main(int argc, char **argv)
{
    static struct party parties[ADDRESSES_MAX];
    int count = argc - 3, status = EXIT_SUCCESS;
    uint64_t until_ns, seed;

    if (count < 1 || count > ADDRESSES_MAX)
        return EXIT_FAILURE;
    signal(SIGPIPE, SIG_IGN);
    until_ns = time_now_ns() + strtoull(argv[1], NULL, 10) * 1000000000;
    seed = strtoull(argv[2], NULL, 10);
    for (int i = 0; i < count; i++)
        begin(&parties[i], argv[3 + i], seed + (uint64_t)i, until_ns);
    for (int i = 0; i < count; i++) {
        pthread_join(parties[i].thread, NULL);
        print_book(&parties[i]);
        if (parties[i].peer.violation[0]) {
            fprintf(stderr, "%s: %s\n", parties[i].peer.address, parties[i].peer.violation);
            status = EXIT_FAILURE;
        }
    }
    return status;
}
