/* SPDX-License-Identifier: MIT */
/* Anything that a front may send, chopped as its first byte says: the same header is found as if it
 * had come in one piece, within its bounds, and it says what a second reader finds there. */
#include "fuzz.h"

#include "dice.h"
#include "proxy_header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whatever was found: how many bytes, or why it is none. */
struct found {
    struct lb_proxy_header header;
    size_t used;
    const char *why;
};

/* Each piece is a copy, so that nothing is read beyond it. */
static struct found take(const uint8_t *data, size_t size, struct dice *dice)
{
    struct found found = {0};

    while (found.used < size && !found.header.over && !found.why) {
        size_t part = dice ? 1 + dice_below(dice, 40) : size;
        uint8_t *piece;
        ssize_t taken;

        if (part > size - found.used)
            part = size - found.used;
        piece = (uint8_t *)fuzz_text(data + found.used, part);
        taken = lb_proxy_header_take(&found.header, piece, part, &found.why);
        free(piece);
        if (taken < 0 ? taken != -EPROTO || !found.why : found.why != NULL)
            fuzz_fail("returned %zd, and why is %s", taken, found.why ? found.why : "nothing");
        if (taken >= 0 && (size_t)taken != part && !found.header.over)
            fuzz_fail("%zd of %zu bytes were taken, and it isn't over", taken, part);
        found.used += taken < 0 ? 0 : (size_t)taken;
    }
    return found;
}

static void check_same(const struct found *whole, const struct found *chopped)
{
    if (whole->header.over != chopped->header.over || whole->why != chopped->why)
        fuzz_fail("whole it is %s, in pieces %s", whole->why ? whole->why : "a header",
                  chopped->why ? chopped->why : "a header");
    if (whole->why)
        return;
    if (whole->used != chopped->used || whole->header.local != chopped->header.local ||
        memcmp(&whole->header.peer, &chopped->header.peer, sizeof(union lb_peer)) != 0)
        fuzz_fail("another header in pieces, of %zu and %zu bytes", whole->used, chopped->used);
}

/* A line, written again from what was understood. */
static void check_text(const uint8_t *data, const struct found *found)
{
    char name[LB_PEER_SIZE], line[LB_PROXY_TEXT_MAX + 1];

    if (found->used > LB_PROXY_TEXT_MAX || memcmp(data + found->used - 2, "\r\n", 2) != 0)
        fuzz_fail("a line of %zu bytes, and no CRLF", found->used);
    if (found->header.local != (found->header.peer.family == AF_UNSPEC))
        fuzz_fail("a line that is local, and isn't");
    memcpy(line, data, found->used);
    line[found->used] = '\0';
    if (found->header.peer.family == AF_UNSPEC ? strncmp(line, "PROXY UNKNOWN", 13) != 0
        : found->header.peer.family == AF_INET ? strncmp(line, "PROXY TCP4 ", 11) != 0
                                               : strncmp(line, "PROXY TCP6 ", 11) != 0)
        fuzz_fail("family %d of %s", found->header.peer.family, line);
    if (found->header.peer.family != AF_INET)
        return;
    /* IPv4 has one form only: it stands there as it is written. */
    *strrchr(lb_peer_name(&found->header.peer, name), ':') = ' ';
    if (strncmp(line + 11, name, strcspn(name, " ")) != 0 || !strstr(line, strchr(name, ' ')))
        fuzz_fail("%s of %s", name, line);
}

static void check_binary(const uint8_t *data, const struct found *found)
{
    size_t size = 16 + ((size_t)data[14] << 8 | data[15]);

    if (found->used != size || size > LB_PROXY_BINARY_MAX)
        fuzz_fail("%zu bytes were taken of a header of %zu", found->used, size);
    if (found->header.local != (data[12] == 0x20))
        fuzz_fail("command %x is local, or isn't", data[12]);
    if (found->header.local && found->header.peer.family != AF_UNSPEC)
        fuzz_fail("a local one names somebody");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dice dice = dice_of_seed(size > 0 ? data[0] : 0);
    const uint8_t *bytes = data + (size > 0);
    size_t length = size - (size > 0);
    struct found whole = take(bytes, length, NULL), chopped = take(bytes, length, &dice);

    check_same(&whole, &chopped);
    if (!whole.header.over && !whole.why && whole.used >= LB_PROXY_BINARY_MAX)
        fuzz_fail("%zu bytes were taken, and it isn't over", whole.used);
    if (!whole.header.over)
        return 0;
    if (bytes[0] == 'P')
        check_text(bytes, &whole);
    else
        check_binary(bytes, &whole);
    return 0;
}
