/* SPDX-License-Identifier: MIT */
/* Files of pre-shared keys. */
#include "unit.h"

#include "psk.h"
#include "secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX16 "000102030405060708090a0b0c0d0e0F"

/* Reads a file of that text and mode. */
static int read_with_mode(struct lb_psk_list *list, const char *text, mode_t mode,
                          struct lb_error *error)
{
    char path[] = "/tmp/lastbyte-psk-XXXXXX";
    int fd = mkstemp(path), rc;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    rc = lb_psk_read(list, path, error);
    unlink(path);
    return rc;
}

static int read_text(struct lb_psk_list *list, const char *text, struct lb_error *error)
{
    return read_with_mode(list, text, 0600, error);
}

static void what_others_can_read(void **state)
{
    static const mode_t modes[] = {0640, 0620, 0604, 0602, 0644};
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_psk_list list;

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(read_with_mode(&list, "one:" HEX16 "\n", modes[i], &error), -EPERM);
        assert_non_null(strstr(error.text, "others can read or write it"));
        assert_null(list.items);
    }
    assert_int_equal(read_with_mode(&list, "one:" HEX16 "\n", 0400, NULL), 0);
    lb_psk_done(&list);
}

/* As systemd's credentials are: root's, and ours to read. */
static void what_its_owner_lets_us_read(void **state)
{
    struct stat status = {.st_uid = geteuid() + 1, .st_mode = S_IFREG | 0440};

    (void)state;
    assert_false(lb_secret_is_exposed(&status));
    status.st_mode |= S_IROTH;
    assert_true(lb_secret_is_exposed(&status));
    status = (struct stat){.st_uid = geteuid(), .st_mode = S_IFREG | 0440};
    assert_true(lb_secret_is_exposed(&status));
}

static void keys_are_found(void **state)
{
    struct lb_psk_list list;
    const struct lb_psk *psk;

    (void)state;
    assert_int_equal(read_text(&list, "# who may\n\none:" HEX16 "\r\ntwo@host:" HEX16 HEX16, NULL),
                     0);
    assert_int_equal(list.count, 2);
    psk = lb_psk_find(&list, "one", 3);
    assert_non_null(psk);
    assert_int_equal(psk->key_size, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(psk->key[i], i);
    assert_int_equal(lb_psk_find(&list, "two@hostess", 8)->key_size, 32);
    assert_null(lb_psk_find(&list, "on", 2));
    assert_null(lb_psk_find(&list, "", 0));
    lb_psk_done(&list);
    assert_null(lb_psk_find(&list, "one", 3));
}

static void what_is_no_line(void **state)
{
    static const char *const texts[] = {
        "",
        "# nobody\n",
        "one\n",
        "one:\n",
        ":" HEX16 "\n",
        "one:0011\n",                              /* too short */
        "one:" HEX16 "0\n",                        /* half a byte */
        "one:" HEX16 HEX16 HEX16 HEX16 HEX16 "\n", /* too long */
        "one:000102030405060708090a0b0c0d0eXX\n",  /* no digits */
        "o ne:" HEX16 "\n",                        /* a blank */
        "one:" HEX16 " \n",
    };
    struct lb_error error = {LB_ERROR_INIT};
    struct lb_psk_list list;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_text(&list, texts[i], &error), -EBADMSG);
        assert_non_null(strstr(error.text, "IDENTITY:HEXKEY"));
        assert_null(list.items);
    }
    assert_int_equal(lb_psk_read(&list, "/nowhere/at/all", &error), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found),
        cmocka_unit_test(what_is_no_line),
        cmocka_unit_test(what_others_can_read),
        cmocka_unit_test(what_its_owner_lets_us_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
