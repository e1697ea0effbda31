/* SPDX-License-Identifier: MIT */
#include "secrets.h"

#include <openssl/crypto.h>

/* Each handshake under way has a key for a moment. */
enum { HEAP_SIZE = 256 << 10, LEAST = 32 };

void secrets_keep(void)
{
    if (!CRYPTO_secure_malloc_initialized())
        CRYPTO_secure_malloc_init(HEAP_SIZE, LEAST);
}
