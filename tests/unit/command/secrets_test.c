/* SPDX-License-Identifier: MIT */
/* Keys are where they are in no dump, and not swapped. */
#include "tools/command/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/crypto.h>

static void keys_are_kept(void **state)
{
    void *key;

    (void)state;
    secrets_keep();
    secrets_keep();
    assert_true(CRYPTO_secure_malloc_initialized());
    key = OPENSSL_secure_malloc(32);
    assert_non_null(key);
    assert_true(CRYPTO_secure_allocated(key));
    OPENSSL_secure_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
