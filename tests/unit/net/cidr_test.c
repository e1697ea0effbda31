/* SPDX-License-Identifier: MIT */
/* Networks: how they are written, and who is in them. */
#include "unit.h"

#include "cidr.h"
#include "error.h"
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static union lb_peer peer_of(const char *text)
{
    union lb_peer peer = {.family = AF_UNSPEC};

    if (inet_pton(AF_INET, text, &peer.in.sin_addr) == 1)
        peer.family = AF_INET;
    else if (inet_pton(AF_INET6, text, &peer.in6.sin6_addr) == 1)
        peer.family = AF_INET6;
    return peer;
}

static bool has(const char *text, const char *address)
{
    union lb_peer peer = peer_of(address);
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_cidr network;
    uint8_t bytes[16];
    sa_family_t family = lb_peer_address(&peer, bytes);

    if (lb_cidr_parse(&network, text, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    return lb_cidr_has(&network, family, bytes);
}

static void who_is_in_it(void **state)
{
    static const struct {
        const char *network, *in, *out;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.20.0.0/15", "10.21.1.1", "10.22.0.0"},
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"::/0", "2001:db8::1", "127.0.0.1"},
        {"192.0.2.7/32", "192.0.2.7", "192.0.2.71"},
        {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"2001:db8::1", "2001:db8::1", "2001:db8::2"},
        {"::1/128", "::1", "::2"},
        /* IPv4 is IPv4, however it is written and wherever it comes from. */
        {"192.0.2.0/24", "::ffff:192.0.2.1", "::ffff:192.0.3.1"},
        {"::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"},
        {"::ffff:0:0/96", "203.0.113.9", "::1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!has(cases[i].network, cases[i].in))
            fail_msg("%s lacks %s", cases[i].network, cases[i].in);
        if (has(cases[i].network, cases[i].out))
            fail_msg("%s has %s", cases[i].network, cases[i].out);
    }
}

static void what_is_no_network(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", "not a network"},
        {"localhost", "not a network"},
        {"192.0.2", "not a network"},
        {"192.0.2.0/", "not a network"},
        {"/24", "not a network"},
        {"192.0.2.0/24/1", "not a network"},
        {"192.0.2.0/+24", "not a network"},
        {"192.0.2.0/0x8", "not a network"},
        {"192.0.2.0/00024", "not a network"},
        {"192.0.2.0 /24", "not a network"},
        {"192.0.2.256", "not a network"},
        {"[::1]", "not a network"},
        {"fe80::1%lo", "not a network"},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", "not a network"},
        {"192.0.2.0/33", "a prefix of 33 bits; there are 0 to 32"},
        {"::/129", "a prefix of 129 bits; there are 0 to 128"},
        {"192.0.2.1/24", "write 192.0.2.0/24"},
        {"255.255.255.255/0", "write 0.0.0.0/0"},
        {"2001:db8::1/64", "write 2001:db8::/64"},
        {"2001:db8::8000:0:0:0/64", "write 2001:db8::/64"},
        {"::ffff:192.0.2.1/120", "write 192.0.2.0/24"},
    };
    struct lb_error error = {LB_ERROR_INIT};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        error = (struct lb_error){LB_ERROR_INIT};
        assert_int_equal(lb_network_check(cases[i].text, &error), -EINVAL);
        assert_int_equal(error.code, -EINVAL);
        if (strncmp(error.text, cases[i].text, strlen(cases[i].text)) != 0 ||
            !strstr(error.text, cases[i].told))
            fail_msg("'%s': '%s' is told", cases[i].text, error.text);
    }
    assert_int_equal(lb_network_check("nothing", NULL), -EINVAL);
}

static void peers_without_an_address(void **state)
{
    const union lb_peer local = {.un = {.family = AF_UNIX, .pid = 1, .uid = 2}};
    const union lb_peer unknown = {.family = AF_UNSPEC};
    uint8_t address[16];

    (void)state;
    assert_int_equal(lb_peer_address(&local, address), AF_UNSPEC);
    assert_int_equal(lb_peer_address(&unknown, address), AF_UNSPEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_in_it),
        cmocka_unit_test(what_is_no_network),
        cmocka_unit_test(peers_without_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
