/* SPDX-License-Identifier: MIT */
#ifndef ANSWER_H
#define ANSWER_H

#include "quote.h"
#include "receipt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a server says to one stream, on its way to standard output: as it comes, or, where several
 * streams are under way, held in an unlinked temporary file until the stream has ended. On a
 * terminal it is quoted (quote.h). When standard output fails, that is told once, and answers are
 * dropped from then on: what is sent matters more. */
struct answer {
    bool hold;
    bool receipt;         /* the last line may be one, and is then no part of the answer */
    uint64_t deadline_ns; /* of the monotonic clock: whoever reads standard output has that long; 0:
                             for ever */
    const char *name;     /* of the stream, for messages */

    /* Zeroed: nothing has come. */
    bool cut;      /* no more of it is held */
    bool open;     /* held is */
    int held;      /* a temporary file */
    uint64_t size; /* of that */
    struct lb_quoter quoter;
    struct receipt_line last;
};

/* Before the first stream: at most most bytes of answers are held at a time. Tries the
 * temporary directory. Returns 0 or -errno. */
int answer_prepare_holding(uint64_t most);

void answer_write(struct answer *answer, const void *data, size_t size);

/* The server has said everything: takes the receipt off the answer. Returns whether there is. */
bool answer_receipt(struct answer *answer, struct receipt *receipt);

/* The stream has ended: writes what is held, in one piece. */
void answer_finish(struct answer *answer);

/* Forgets what has come. */
void answer_drop(struct answer *answer);

/* Has anything failed to reach standard output? */
bool answer_lost(void);

#endif
