/* SPDX-License-Identifier: MIT */
#include "secrets.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* libssl keeps the key that a handshake was made with for as long as the stream: 32 bytes of
 * X25519, 64 of P-384; and where there is no room for one, a handshake fails. */
enum { HEAP_LEAST = 256 << 10, PIECE_LEAST = 32, OF_A_STREAM = 128 };

/* ---- what libcrypto gives back ----------------------------------------------------------------
 */

/* It is wiped: reading a key leaves parts of it behind. */

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    size_t had = memory ? malloc_usable_size(memory) : 0;
    void *moved = size > 0 ? malloc(size) : NULL;

    if (!moved && size > 0)
        return NULL;
    if (moved && had > 0)
        memcpy(moved, memory, had < size ? had : size);
    release(memory, file, line);
    return moved;
}

void secrets_keep(size_t streams)
{
    size_t size = HEAP_LEAST;

    if (CRYPTO_secure_malloc_initialized())
        return;
    while (size < HEAP_LEAST + streams * OF_A_STREAM)
        size *= 2;
    CRYPTO_set_mem_functions(allocate, reallocate, release);
    CRYPTO_secure_malloc_init(size, PIECE_LEAST);
}
