/* SPDX-License-Identifier: MIT */
#ifndef ANSWER_H
#define ANSWER_H

#include "receipt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What a server says to one stream, on its way to standard output: as it comes, or, where several
 * streams are under way, held in an unlinked temporary file until the stream has ended. When
 * standard output fails, that is told once, and answers are dropped from then on: what is sent
 * matters more. */
struct answer {
    bool hold;
    bool receipt; /* the last line may be one, and is then no part of the answer */
    FILE *held;
    struct receipt_line last;
};

void answer_write(struct answer *answer, const void *data, size_t size);

/* The server has said everything: takes the receipt off the answer. Returns whether there is. */
bool answer_receipt(struct answer *answer, struct receipt *receipt);

/* The stream has ended: writes what is held, in one piece. */
void answer_finish(struct answer *answer);

/* Forgets what is held. */
void answer_drop(struct answer *answer);

/* Has anything failed to reach standard output? */
bool answer_lost(void);

#endif
