/* SPDX-License-Identifier: MIT */
/* Digests: known answers, however the bytes are cut. */
#include "unit.h"

#include "digest.h"

#include <errno.h>
#include <string.h>

/* By `xxhsum -H128` and `sha256sum`, of nothing and of "abc". */
static const struct {
    const char *name, *text, *digest;
} known[] = {
    {"xxh3", "", "99aa06d3014798d86001c324468d497f"},
    {"xxh3", "abc", "06b05ab6733a618578af5f94892f3950"},
    {"sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
};

static void choose(struct lb_digest_method *method, const char *name)
{
    assert_int_equal(lb_digest_choose(method, name), 0);
}

static void known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct lb_digest_method method;
        struct lb_digest digest;
        char text[LB_DIGEST_TEXT_SIZE];

        choose(&method, known[i].name);
        assert_string_equal(lb_digest_name(&method), known[i].name);
        assert_int_equal(lb_digest_open(&digest, &method), 0);
        for (const char *next = known[i].text; *next; next++)
            assert_int_equal(lb_digest_update(&digest, next, 1), 0);
        assert_int_equal(lb_digest_finish(&digest, text), 0);
        assert_string_equal(text, known[i].digest);
        lb_digest_close(&digest);
        lb_digest_release(&method);
    }
}

static void digests_outlive_their_method(void **state)
{
    struct lb_digest_method method;
    struct lb_digest digest;
    char text[LB_DIGEST_TEXT_SIZE];

    (void)state;
    choose(&method, "sha256");
    assert_int_equal(lb_digest_open(&digest, &method), 0);
    lb_digest_release(&method);
    assert_int_equal(lb_digest_update(&digest, "abc", 3), 0);
    assert_int_equal(lb_digest_finish(&digest, text), 0);
    assert_string_equal(text, known[3].digest);
    lb_digest_close(&digest);
}

static void the_default_is_xxh3(void **state)
{
    struct lb_digest_method method;

    (void)state;
    choose(&method, NULL);
    assert_string_equal(lb_digest_name(&method), "xxh3");
    lb_digest_release(&method);
}

static void unknown_algorithms_are_refused(void **state)
{
    struct lb_digest_method method = {0};

    (void)state;
    assert_int_equal(lb_digest_choose(&method, "md5"), -EINVAL);
    assert_int_equal(lb_digest_choose(&method, ""), -EINVAL);
    assert_int_equal(lb_digest_choose(&method, "sha2567"), -EINVAL);
    lb_digest_release(&method);
}

static void closing_what_is_not_open_is_harmless(void **state)
{
    struct lb_digest digest = {0};

    (void)state;
    lb_digest_close(&digest);
    lb_digest_close(&digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(digests_outlive_their_method),
        cmocka_unit_test(the_default_is_xxh3),
        cmocka_unit_test(unknown_algorithms_are_refused),
        cmocka_unit_test(closing_what_is_not_open_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
