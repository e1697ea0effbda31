/* SPDX-License-Identifier: MIT */
/* Keys are where they are in no dump, and not swapped. */
#include "tools/command/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

/* And of as many streams as there may be none is turned away. */
static void keys_are_kept(void **state)
{
    enum { STREAMS = 20000, OF_A_STREAM = 64 };
    static void *keys[STREAMS];

    (void)state;
    secrets_keep(STREAMS);
    secrets_keep(1);
    assert_true(CRYPTO_secure_malloc_initialized());
    for (int i = 0; i < STREAMS; i++) {
        keys[i] = OPENSSL_secure_malloc(OF_A_STREAM);
        assert_non_null(keys[i]);
        assert_true(CRYPTO_secure_allocated(keys[i]));
    }
    for (int i = 0; i < STREAMS; i++)
        OPENSSL_secure_free(keys[i]);
}

/* libcrypto's memory is what it was, but for what is left in it. */
static void memory_is_moved(void **state)
{
    char *text = OPENSSL_malloc(10);

    (void)state;
    strcpy(text, "something");
    for (size_t size = 16; size < 1 << 20; size *= 2) {
        text = OPENSSL_realloc(text, size);
        assert_string_equal(text, "something");
    }
    text = OPENSSL_realloc(text, 10);
    assert_string_equal(text, "something");
    assert_null(OPENSSL_realloc(text, 0));
    text = OPENSSL_realloc(NULL, 10);
    assert_non_null(text);
    OPENSSL_free(text);
    OPENSSL_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_kept),
        cmocka_unit_test(memory_is_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
