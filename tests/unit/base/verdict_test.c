/* SPDX-License-Identifier: MIT */
/* Verdicts: what each failure of a receive says of the peer, and what a person is told. */
#include "unit.h"

#include "verdict.h"

#include <errno.h>
#include <string.h>

/* Nothing but the EOF itself may look like one: who sees eof relies on every byte. */
static void only_an_eof_is_complete(void **state)
{
    (void)state;
    assert_int_equal(lb_verdict_of_receive(0).end, LB_END_EOF);
    for (int error = 1; error < 200; error++)
        assert_int_not_equal(lb_verdict_of_receive(-error).end, LB_END_EOF);
}

/* A peer may be blamed only for what it did: of all else the machine is to be looked at. */
static void a_peer_is_not_blamed_for_our_trouble(void **state)
{
    static const int ours[] = {ENOMEM, ENOBUFS, EBADF, EFAULT, EIO, EINVAL, EMFILE, ECANCELED};

    (void)state;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        assert_int_equal(lb_verdict_of_receive(-ours[i]).end, LB_END_ERROR);
}

/* tcp(7): the last ICMP error, if one came, stands in for ETIMEDOUT. */
static void a_vanished_peer_has_timed_out_however_it_shows(void **state)
{
    static const int signs[] = {ETIMEDOUT, EHOSTUNREACH, ENETUNREACH};

    (void)state;
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        assert_int_equal(lb_verdict_of_receive(-signs[i]).end, LB_END_TIMEOUT);
}

static void the_cause_is_kept(void **state)
{
    struct lb_verdict verdict = lb_verdict_of_receive(-ECONNRESET);

    (void)state;
    assert_int_equal(verdict.end, LB_END_RESET);
    assert_int_equal(verdict.error, -ECONNRESET);
    assert_string_equal(lb_verdict_text(&verdict), strerror(ECONNRESET));
    assert_null(lb_verdict_reason(&verdict));
    verdict = lb_verdict_of_sink(-ENOSPC);
    assert_int_equal(verdict.end, LB_END_SINK);
    assert_string_equal(lb_verdict_text(&verdict), strerror(ENOSPC));
#ifdef LB_HAVE_STRERRORNAME
    assert_string_equal(lb_verdict_reason(&verdict), "ENOSPC");
#endif
}

static void a_limit_is_its_own_cause(void **state)
{
    const struct lb_verdict limit = {.end = LB_END_TIMEOUT, .why = "idle"};
    const struct lb_verdict stopped = {.end = LB_END_STOPPED};

    (void)state;
    assert_string_equal(lb_verdict_text(&limit), "idle");
    assert_string_equal(lb_verdict_reason(&limit), "idle");
    assert_null(lb_verdict_reason(&stopped));
    assert_null(lb_verdict_text(&stopped));
}

/* They are words of receipts, statistics and notes: each one word, and no two the same. */
static void each_end_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int end = 0; end < LB_END_COUNT; end++) {
        const char *name = lb_end_name((enum lb_end)end);

        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz"), strlen(name));
        for (int other = 0; other < end; other++)
            assert_string_not_equal(name, lb_end_name((enum lb_end)other));
        assert_string_not_equal(name, lb_end_name(LB_END_COUNT));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_eof_is_complete),
        cmocka_unit_test(a_peer_is_not_blamed_for_our_trouble),
        cmocka_unit_test(a_vanished_peer_has_timed_out_however_it_shows),
        cmocka_unit_test(the_cause_is_kept),
        cmocka_unit_test(a_limit_is_its_own_cause),
        cmocka_unit_test(each_end_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
