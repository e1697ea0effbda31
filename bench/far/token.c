/* SPDX-License-Identifier: MIT */
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char variable[] = "LASTBYTE_BENCH_TOKEN";

static void write_hex(const unsigned char *bytes, size_t size, char *text)
{
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int read_file(struct token *token, const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, token->text, sizeof(token->text));
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (size < 0) {
        fprintf(stderr, "--token-file=%s: %s\n", name, strerror(error));
        return -1;
    }
    token->size = (size_t)size;
    return 0;
}

int token_read(struct token *token, const char *name)
{
    const char *given = getenv(variable);

    *token = (struct token){.size = 0};
    if (name) {
        if (read_file(token, name) < 0)
            return -1;
    } else if (given) {
        token->size = strnlen(given, sizeof(token->text));
        memcpy(token->text, given, token->size);
    } else {
        fprintf(stderr,
                "two hosts need a token that both know: --token-file=FILE, or %s in the "
                "environment\n",
                variable);
        return -1;
    }
    while (token->size > 0 && strchr(" \t\r\n", token->text[token->size - 1]))
        token->size--;
    if (token->size >= TOKEN_LEAST && token->size < sizeof(token->text))
        return 0;
    fprintf(stderr,
            "%s: a token of %d to %d characters is needed: openssl rand -hex 16 makes one\n",
            name ? name : variable, TOKEN_LEAST, TOKEN_SIZE - 1);
    return -1;
}

int token_nonce(char nonce[NONCE_SIZE])
{
    unsigned char bytes[(NONCE_SIZE - 1) / 2];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return -1;
    write_hex(bytes, sizeof(bytes), nonce);
    return 0;
}

void token_prove(const struct token *token, const char *who, const char *server_nonce,
                 const char *client_nonce, char proof[PROOF_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char text[2 * NONCE_SIZE + 16];
    int length = snprintf(text, sizeof(text), "%s %.32s %.32s", who, server_nonce, client_nonce);

    proof[0] = '\0';
    if (HMAC(EVP_sha256(), token->text, (int)token->size, (unsigned char *)text, (size_t)length,
             digest, &size))
        write_hex(digest, size, proof);
}

bool token_proves(const char *proof, const char *right)
{
    size_t size = strlen(right);

    return size == PROOF_SIZE - 1 && strlen(proof) == size &&
           CRYPTO_memcmp(proof, right, size) == 0;
}
