/* SPDX-License-Identifier: MIT */
/* Admission: who may come in, how many of each, and how often it is told that somebody may not. */
#include "unit.h"

#include "admission.h"
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000000)

static union lb_peer in4(const char *address, unsigned port)
{
    union lb_peer peer = {.in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};

    assert_int_equal(inet_pton(AF_INET, address, &peer.in.sin_addr), 1);
    return peer;
}

static union lb_peer in6(const char *address)
{
    union lb_peer peer = {.in6 = {.sin6_family = AF_INET6}};

    assert_int_equal(inet_pton(AF_INET6, address, &peer.in6.sin6_addr), 1);
    return peer;
}

static union lb_peer user(int uid)
{
    return (union lb_peer){.un = {.family = AF_UNIX, .pid = 7, .uid = uid}};
}

static struct lb_admission *begin(struct lb_config config, unsigned capacity)
{
    struct lb_admission *admission = calloc(1, sizeof(*admission));

    assert_int_equal(lb_admission_init(admission, &config, capacity, NULL), 0);
    return admission;
}

static void end(struct lb_admission *admission)
{
    lb_admission_done(admission);
    free(admission);
}

static void assert_enters(struct lb_admission *admission, union lb_peer peer)
{
    const char *why = lb_admission_enter(admission, &peer);

    if (why)
        fail_msg("refused: %s", why);
}

static void assert_met(const struct lb_admission *admission, union lb_peer peer, const char *why)
{
    const char *told = lb_admission_meet(admission, &peer);

    if (why ? !told || strcmp(told, why) != 0 : told != NULL)
        fail_msg("%s, not %s", told ? told : "met", why ? why : "met");
}

static void assert_refused(struct lb_admission *admission, union lb_peer peer, const char *why)
{
    const char *told = lb_admission_enter(admission, &peer);

    assert_non_null(told);
    assert_string_equal(told, why);
}

static void leave(struct lb_admission *admission, union lb_peer peer)
{
    lb_admission_leave(admission, &peer);
}

static void everyone_by_default(void **state)
{
    struct lb_admission *admission = begin((struct lb_config){0}, 10);

    (void)state;
    assert_enters(admission, in4("192.0.2.1", 1));
    assert_enters(admission, in6("::1"));
    assert_enters(admission, user(1000));
    assert_enters(admission, user(-1));
    assert_met(admission, user(-1), NULL);
    assert_enters(admission, (union lb_peer){.family = AF_UNSPEC});
    end(admission);
}

static void nobody_who_is_denied(void **state)
{
    const char *deny[] = {"192.0.2.0/24", "2001:db8::/32", NULL};
    struct lb_admission *admission = begin((struct lb_config){.deny = deny}, 10);

    (void)state;
    assert_refused(admission, in4("192.0.2.1", 1), "denied");
    assert_refused(admission, in6("::ffff:192.0.2.1"), "denied");
    assert_refused(admission, in6("2001:db8::1"), "denied");
    assert_enters(admission, in4("192.0.3.1", 1));
    assert_enters(admission, in6("::1"));
    assert_enters(admission, user(1000));
    /* It may be one of them. */
    assert_refused(admission, (union lb_peer){.family = AF_UNSPEC}, "denied");
    end(admission);
}

static void only_who_is_allowed(void **state)
{
    const char *allow[] = {"192.0.2.0/24", "198.51.100.1", NULL};
    struct lb_admission *admission = begin((struct lb_config){.allow = allow}, 10);

    (void)state;
    assert_enters(admission, in4("192.0.2.1", 1));
    assert_enters(admission, in4("198.51.100.1", 1));
    assert_refused(admission, in4("198.51.100.2", 1), "denied");
    assert_refused(admission, in6("::1"), "denied");
    assert_refused(admission, (union lb_peer){.family = AF_UNSPEC}, "denied");
    assert_enters(admission, user(1000)); /* networks are for TCP */
    end(admission);
}

static void denying_wins(void **state)
{
    const char *allow[] = {"192.0.2.7", "10.0.0.0/8", NULL}, *deny[] = {"192.0.2.0/24", NULL};
    struct lb_admission *admission = begin((struct lb_config){.allow = allow, .deny = deny}, 10);

    (void)state;
    assert_refused(admission, in4("192.0.2.7", 1), "denied");
    assert_enters(admission, in4("10.0.0.1", 1));
    assert_refused(admission, in4("11.0.0.1", 1), "denied");
    end(admission);
}

static void only_these_users(void **state)
{
    const uid_t uids[] = {0, 1000};
    struct lb_admission *admission =
        begin((struct lb_config){.allow_uids = uids, .allow_uid_count = 2}, 10);

    (void)state;
    assert_met(admission, user(0), NULL);
    assert_met(admission, user(1000), NULL);
    assert_met(admission, user(1001), "uid");
    assert_met(admission, user(-1), "uid");
    assert_met(admission, in4("192.0.2.1", 1), NULL); /* users are for Unix sockets */
    assert_enters(admission, in4("192.0.2.1", 1));
    end(admission);
}

static void so_many_of_each(void **state)
{
    struct lb_admission *admission = begin((struct lb_config){.max_streams_per_peer = 2}, 100);

    (void)state;
    assert_enters(admission, in4("192.0.2.1", 1));
    assert_enters(admission,
                  in6("::ffff:192.0.2.1")); /* the same, whatever the port and the form */
    assert_refused(admission, in4("192.0.2.1", 3), "per-peer");
    assert_enters(admission, in4("192.0.2.2", 1));
    assert_enters(admission, in6("::c000:201")); /* its bytes are 192.0.2.1's, but it isn't IPv4 */
    assert_enters(admission, user(1));
    assert_enters(admission, user(1));
    assert_refused(admission, user(1), "per-peer");
    assert_enters(admission, user(2));
    leave(admission, in4("192.0.2.1", 9));
    assert_enters(admission, in4("192.0.2.1", 4));
    assert_refused(admission, in4("192.0.2.1", 5), "per-peer");
    end(admission);
}

/* Nobody has more of them by having more addresses. */
static void so_many_of_each_ipv6_network(void **state)
{
    struct lb_admission *admission = begin((struct lb_config){.max_streams_per_peer = 2}, 100);

    (void)state;
    assert_enters(admission, in6("2001:db8:1:2::1"));
    assert_enters(admission, in6("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_refused(admission, in6("2001:db8:1:2::1"), "per-peer");
    assert_refused(admission, in6("2001:db8:1:2:8000::"), "per-peer");
    assert_enters(admission, in6("2001:db8:1:3::1"));
    assert_enters(admission, in6("2001:db8:1:1:ffff:ffff:ffff:ffff"));
    assert_enters(admission, in6("2001:db8::2:0:0:1"));
    leave(admission, in6("2001:db8:1:2::77"));
    assert_enters(admission, in6("2001:db8:1:2::3"));
    assert_refused(admission, in6("2001:db8:1:2::3"), "per-peer");
    /* IPv4 is counted by address, whatever it is written as. */
    assert_enters(admission, in6("::ffff:192.0.2.1"));
    assert_enters(admission, in4("192.0.2.1", 1));
    assert_refused(admission, in4("192.0.2.1", 1), "per-peer");
    assert_enters(admission, in6("::ffff:192.0.2.2"));
    end(admission);
}

static void who_is_refused_is_not_counted(void **state)
{
    const char *deny[] = {"192.0.2.1", NULL};
    struct lb_admission *admission =
        begin((struct lb_config){.deny = deny, .max_streams_per_peer = 1}, 2);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_refused(admission, in4("192.0.2.1", 1), "denied");
    assert_enters(admission, in4("192.0.2.2", 1));
    for (int i = 0; i < 100; i++)
        assert_refused(admission, in4("192.0.2.2", 1), "per-peer");
    assert_enters(admission, in4("192.0.2.3", 1));
    end(admission);
}

/* Random comings and goings against a count of our own. */
static void the_count_holds(void **state)
{
    enum { PEERS = 50, LIMIT = 3, STEPS = 20000 };
    struct lb_admission *admission =
        begin((struct lb_config){.max_streams_per_peer = LIMIT}, PEERS);
    unsigned counts[PEERS] = {0};
    uint64_t random = 1;

    (void)state;
    for (int i = 0; i < STEPS; i++) {
        size_t one = random_between(&random, 0, PEERS - 1);

        if (random_between(&random, 0, 1) && counts[one] > 0) {
            leave(admission, user((int)one));
            counts[one]--;
        } else if (counts[one] < LIMIT) {
            assert_enters(admission, user((int)one));
            counts[one]++;
        } else {
            assert_refused(admission, user((int)one), "per-peer");
        }
    }
    for (int one = 0; one < PEERS; one++)
        for (; counts[one] > 0; counts[one]--)
            leave(admission, user(one));
    for (int one = PEERS; one < 2 * PEERS; one++)
        assert_enters(admission, user(one)); /* nothing of the others is left */
    end(admission);
}

static void a_bad_list(void **state)
{
    const char *good[] = {"192.0.2.1", NULL}, *bad[] = {"192.0.2.1", "nowhere", NULL};
    const struct lb_config configs[] = {
        {.allow = bad}, {.deny = bad}, {.allow = good, .deny = bad}};

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        struct lb_admission admission;
        struct lb_error error = {LB_ERROR_INIT};

        assert_int_equal(lb_admission_init(&admission, &configs[i], 10, &error), -EINVAL);
        assert_non_null(strstr(error.text, "nowhere: not a network"));
        lb_admission_done(&admission);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_by_default),
        cmocka_unit_test(nobody_who_is_denied),
        cmocka_unit_test(only_who_is_allowed),
        cmocka_unit_test(denying_wins),
        cmocka_unit_test(only_these_users),
        cmocka_unit_test(so_many_of_each),
        cmocka_unit_test(so_many_of_each_ipv6_network),
        cmocka_unit_test(who_is_refused_is_not_counted),
        cmocka_unit_test(the_count_holds),
        cmocka_unit_test(a_bad_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
