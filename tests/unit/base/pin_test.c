/* SPDX-License-Identifier: MIT */
/* Pins are written in one way, and nothing else is one. */
#include "unit.h"

#include "pin.h"

#include <errno.h>
#include <string.h>

static const char zeros[] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

static void what_is_written_is_read(void **state)
{
    struct lb_pin pin, again;
    char text[LB_PIN_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < LB_PIN_SIZE; i++)
        pin.bytes[i] = (uint8_t)(i * 37 + 5);
    assert_int_equal(lb_pin_read(&again, lb_pin_write(&pin, text)), 0);
    assert_memory_equal(&pin, &again, sizeof(pin));
    assert_int_equal(lb_pin_read(&pin, zeros), 0);
    assert_string_equal(lb_pin_write(&pin, text), zeros);
    assert_true(lb_pin_is_in(&pin, &(struct lb_pin[]){again, pin}[0], 2));
    assert_false(lb_pin_is_in(&pin, &again, 1));
    assert_false(lb_pin_is_in(&pin, NULL, 0));
}

static void what_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "sha256//",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "md5256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",  /* 33 bytes */
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",  /* bits behind the last */
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",  /* 31 bytes */
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ", /* and a blank */
        "sha256// AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAA*AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    struct lb_pin pin;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(lb_pin_read(&pin, texts[i]), -EINVAL);
}

static void files_without_a_certificate(void **state)
{
    struct lb_pin pin;

    (void)state;
    assert_int_equal(lb_pin_of_file(&pin, "/nowhere/at/all"), -ENOENT);
    assert_int_equal(lb_pin_of_file(&pin, "/dev/null"), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(files_without_a_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
