/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol: whom they name, where they end, and what is none. */
#include "unit.h"

#include "front.h"
#include "proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t behind[] = "PROXY is what the stream says";

/* Takes header in pieces that end at the cuts, and what is behind it with the last. */
static struct lb_proxy_header take(const uint8_t *header, size_t size, size_t first, size_t second)
{
    const size_t ends[] = {first, second, size + sizeof(behind)};
    struct lb_proxy_header taken = {0};
    uint8_t all[FRONT_HEADER_MAX + sizeof(behind)];
    const char *why = NULL;
    size_t at = 0;

    memcpy(all, header, size);
    memcpy(all + size, behind, sizeof(behind));
    for (int i = 0; i < 3; i++) {
        ssize_t used;

        if (ends[i] == at)
            continue;
        assert_false(taken.over);
        used = lb_proxy_header_take(&taken, all + at, ends[i] - at, &why);
        if (used < 0)
            fail_msg("cut at %zu and %zu: %s", first, second, why);
        at += (size_t)used;
        assert_int_equal(at, i < 2 ? ends[i] : size);
    }
    assert_true(taken.over);
    return taken;
}

static void assert_peer(const struct lb_proxy_header *header, const char *name)
{
    char text[LB_PEER_SIZE];

    assert_string_equal(lb_peer_name(&header->peer, text), name);
}

/* Wherever it is cut, it is the same, and not a byte behind it is taken. */
static void assert_header(const uint8_t *bytes, size_t size, const char *peer, bool local)
{
    for (size_t first = 0; first < size; first++) {
        size_t step = size > 300 ? 97 : 1;

        for (size_t second = first; second < size; second += step) {
            struct lb_proxy_header header = take(bytes, size, first, second);

            assert_peer(&header, peer);
            assert_int_equal(header.local, local);
        }
    }
}

static void assert_text(const char *line, const char *peer)
{
    assert_header((const uint8_t *)line, strlen(line), peer, strcmp(peer, "unknown") == 0);
}

static void assert_wrong(const void *bytes, size_t size, const char *why)
{
    for (size_t cut = 0; cut < size; cut++) {
        struct lb_proxy_header header = {0};
        const char *told = NULL;
        ssize_t used = lb_proxy_header_take(&header, bytes, cut, &told);

        if (used >= 0)
            used = lb_proxy_header_take(&header, (const uint8_t *)bytes + cut, size - cut, &told);
        assert_int_equal(used, -EPROTO);
        assert_string_equal(told, why);
        assert_false(header.over);
    }
}

/* ---- version 1 ------------------------------------------------------------------------------- */

static void lines(void **state)
{
    (void)state;
    assert_text("PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090\r\n", "192.0.2.7:4711");
    assert_text("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0");
    assert_text("PROXY TCP6 2001:db8::7 ::1 65535 1\r\n", "[2001:db8::7]:65535");
    assert_text("PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 1 1\r\n", "[2001:db8::7]:1");
    /* It came to IPv6, and is IPv4. */
    assert_text("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:203.0.113.1 1 2\r\n", "192.0.2.7:1");
}

static void lines_that_name_nobody(void **state)
{
    char longest[LB_PROXY_TEXT_MAX + 1];

    (void)state;
    assert_text("PROXY UNKNOWN\r\n", "unknown");
    assert_text("PROXY UNKNOWN ?\r?  \r\n", "unknown");
    snprintf(longest, sizeof(longest), "PROXY UNKNOWN %0*d\r\n", LB_PROXY_TEXT_MAX - 16, 0);
    assert_int_equal(strlen(longest), LB_PROXY_TEXT_MAX);
    assert_text(longest, "unknown");
}

static void lines_that_are_none(void **state)
{
    static const char *const none[] = {"G", "PROXY\t", "PROXX ", "proxy ", "PROXYTCP4", " PROXY"};
    static const char *const bad[] = {
        "PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090\n",
        "PROXY \n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 4711\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090 \r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090 7\r\n",
        "PROXY TCP4  192.0.2.7 203.0.113.1 4711 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 4711 65536\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 04711 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 00 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 +711 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 -1 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 0x1 1090\r\n",
        "PROXY TCP4 192.0.2.07 203.0.113.1 1 1090\r\n",
        "PROXY TCP4 192.0.2 203.0.113.1 1 1090\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.256 1 1090\r\n",
        "PROXY TCP4 ::1 ::1 1 1090\r\n",
        "PROXY TCP6 192.0.2.7 203.0.113.1 1 1090\r\n",
        "PROXY TCP6 fe80::1%lo ::1 1 1090\r\n",
        "PROXY TCP6 ::1 192.0.2.7 1 1090\r\n",
        "PROXY UDP4 192.0.2.7 203.0.113.1 1 1090\r\n",
        "PROXY TCP5 192.0.2.7 203.0.113.1 1 1090\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.7 203.0.113.1 1 1090\r\r\n",
    };
    static const char nul[] = "PROXY TCP4 192.0.2.7 203.0.113.1 1 1090\0\r\n";
    char line[2 * LB_PROXY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_wrong(none[i], strlen(none[i]), "no PROXY header");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_wrong(bad[i], strlen(bad[i]), "malformed");
    assert_wrong(nul, sizeof(nul) - 1, "malformed");
    snprintf(line, sizeof(line), "PROXY UNKNOWN %0*d\r\n", LB_PROXY_TEXT_MAX - 15, 0);
    assert_wrong(line, strlen(line), "too long");
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static uint8_t bytes[FRONT_HEADER_MAX];

static void addresses(void **state)
{
    uint8_t datagrams[FRONT_HEADER_MAX];

    (void)state;
    assert_header(bytes, front_binary(bytes, "192.0.2.7", 4711), "192.0.2.7:4711", false);
    assert_header(bytes, front_binary(bytes, "2001:db8::7", 1), "[2001:db8::7]:1", false);
    assert_header(bytes, front_binary(bytes, "::ffff:192.0.2.7", 1), "192.0.2.7:1", false);
    /* How it came to the front is nobody's business: it is the same peer. */
    front_binary(datagrams, "192.0.2.7", 1);
    assert_header(bytes, front_make(bytes, FRONT_PROXY, 0x12, datagrams + FRONT_FIXED, 12),
                  "192.0.2.7:1", false);
}

static void nobody_is_named(void **state)
{
    uint8_t content[300] = {0};

    (void)state;
    memset(content, 0x55, sizeof(content));
    assert_header(bytes, front_make(bytes, FRONT_PROXY, 0, NULL, 0), "unknown", false);
    assert_header(bytes, front_make(bytes, FRONT_PROXY, 0, content, 7), "unknown", false);
    assert_header(bytes, front_make(bytes, FRONT_PROXY, FRONT_UNIX, content, 216), "unknown",
                  false);
    assert_header(bytes, front_make(bytes, FRONT_LOCAL, 0, NULL, 0), "unknown", true);
    /* Of the front's own connection the rest means nothing, whatever it is. */
    assert_header(bytes, front_make(bytes, FRONT_LOCAL, 0xff, content, 3), "unknown", true);
    assert_header(bytes, front_make(bytes, FRONT_LOCAL, FRONT_TCP4, content, 12), "unknown", true);
}

static void tlvs_are_skipped(void **state)
{
    static const uint8_t zeros[LB_PROXY_BINARY_MAX];
    size_t size = front_binary(bytes, "192.0.2.7", 1);

    (void)state;
    size = front_add(bytes, size, 2, "example.org", 11);
    size = front_add(bytes, size, 4, NULL, 0);
    size = front_add(bytes, size, 0xee, zeros, 1);
    assert_header(bytes, size, "192.0.2.7:1", false);
    size = front_add(bytes, size, 0x20, zeros, LB_PROXY_BINARY_MAX - size - 3);
    assert_int_equal(size, LB_PROXY_BINARY_MAX);
    take(bytes, size, 100, 4000);
}

static void the_checksum(void **state)
{
    static const uint8_t known[] = {
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
        0x21, 0x11, 0x00, 0x13, 0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x01,
        0xd6, 0xc4, 0xab, 0x31, 0x03, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00,
    };
    size_t size = front_binary(bytes, "2001:db8::7", 1);

    (void)state;
    assert_wrong(known, sizeof(known), "wrong CRC32C");
    size = front_add_sum(bytes, size);
    assert_header(bytes, size, "[2001:db8::7]:1", false);
    /* Not its last. */
    size = front_add(bytes, front_binary(bytes, "192.0.2.7", 1), 4, "\3\0\4", 3);
    size = front_add_sum(bytes, size);
    assert_header(bytes, size, "192.0.2.7:1", false);
    /* Any bit that is another. */
    for (size_t bit = 8 * FRONT_FIXED; bit < 8 * size; bit++) {
        struct lb_proxy_header header = {0};
        const char *why = NULL;

        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (lb_proxy_header_take(&header, bytes, size, &why) >= 0 && header.tlv.summed)
            fail_msg("bit %zu of byte %zu does not matter", bit % 8, bit / 8);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void what_is_none(void **state)
{
    static const uint8_t content[216];
    static const uint8_t families[] = {0x10, 0x20, 0x30, 0x01, 0x02, 0x13, 0x23, 0x41, 0xff};
    static const uint8_t commands[] = {0x22, 0x2f, 0x11, 0x31, 0x01, 0x00};
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(families); i++)
        assert_wrong(bytes, front_make(bytes, FRONT_PROXY, families[i], content, 216), "malformed");
    for (size_t i = 0; i < sizeof(commands); i++)
        assert_wrong(bytes, front_make(bytes, commands[i], 0, NULL, 0), "malformed");
    assert_wrong(bytes, front_make(bytes, FRONT_PROXY, FRONT_TCP4, content, 11), "malformed");
    assert_wrong(bytes, front_make(bytes, FRONT_PROXY, FRONT_TCP6, content, 35), "malformed");
    assert_wrong(bytes, front_make(bytes, FRONT_PROXY, FRONT_UNIX, content, 215), "malformed");
    assert_wrong("\r\n\r\n\0\r\nQUIX", 12, "no PROXY header");
    assert_wrong("\r\nPROXY ", 8, "no PROXY header");
    front_make(bytes, FRONT_PROXY, FRONT_TCP4, content, 216);
    bytes[14] = (LB_PROXY_BINARY_MAX + 1 - FRONT_FIXED) >> 8;
    bytes[15] = (LB_PROXY_BINARY_MAX + 1 - FRONT_FIXED) & 0xff;
    assert_wrong(bytes, FRONT_FIXED, "too long");
    bytes[12] = FRONT_LOCAL;
    assert_wrong(bytes, FRONT_FIXED, "too long");

    size = front_binary(bytes, "192.0.2.7", 1);
    assert_wrong(bytes, front_add(bytes, size, FRONT_TLV_SUM, content, 5), "malformed");
    assert_wrong(bytes, front_add(bytes, size, FRONT_TLV_SUM, content, 0), "malformed");
    assert_wrong(bytes, front_add_sum(bytes, front_add_sum(bytes, size)), "malformed");
    /* Cut: in a length, and in a value. */
    front_add(bytes, size, 4, content, 10);
    for (size_t less = 1; less <= 12; less++) {
        bytes[15] = (uint8_t)(size + 13 - less - FRONT_FIXED);
        assert_wrong(bytes, size + 13 - less, "malformed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(lines_that_name_nobody),
        cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(addresses),
        cmocka_unit_test(nobody_is_named),
        cmocka_unit_test(tlvs_are_skipped),
        cmocka_unit_test(the_checksum),
        cmocka_unit_test(what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
