/* SPDX-License-Identifier: MIT */
/* What both hosts of a run know and nobody else: it is proven, and never sent. */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TOKEN_LEAST = 16, /* characters: too many to be guessed, if they are random */
    TOKEN_SIZE = 256,
    NONCE_SIZE = 33, /* text, with its 0 */
    PROOF_SIZE = 65
};

struct token {
    char text[TOKEN_SIZE];
    size_t size;
};

/* From the file of that name, without the white space at its end; or where name is NULL from
 * LASTBYTE_BENCH_TOKEN in the environment. Returns 0, or -1 after a line on standard error. */
int token_read(struct token *token, const char *name);

/* A text that never comes again. Returns 0 or -1. */
int token_nonce(char nonce[NONCE_SIZE]);

/* That somebody, "server" or "client", knows the token, for these two nonces alone. */
void token_prove(const struct token *token, const char *who, const char *server_nonce,
                 const char *client_nonce, char proof[PROOF_SIZE]);

/* Is it that proof? Takes as long whatever is different. */
bool token_proves(const char *proof, const char *right);

#endif
