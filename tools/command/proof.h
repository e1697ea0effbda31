/* SPDX-License-Identifier: MIT */
#ifndef PROOF_H
#define PROOF_H

#include "digest.h"
#include "input.h"

#include <stdbool.h>
#include <stddef.h>

/* The digests of what is sent, to be held against the server's receipt. Which one that will have is
 * not known before: xxh3 is always made, as it costs next to nothing, and sha256 where it is asked
 * for. Zeroed: not open. */
struct proof {
    struct proof_digest {
        struct lb_digest_method method;
        struct lb_digest running;
        char text[LB_DIGEST_TEXT_SIZE];
    } digests[2];
    size_t count;
};

/* Returns 0 or -errno; then it is not open. */
int proof_open(struct proof *proof, bool sha256);
void proof_close(struct proof *proof);

/* 0 or -EIO. */
int proof_add(struct proof *proof, const void *data, size_t size);

/* That was all. Returns 0 or -EIO. */
int proof_finish(struct proof *proof);

/* After finish: in hexadecimal, or NULL if the algorithm's is not made. */
const char *proof_digest(const struct proof *proof, const char *algorithm);

/* Makes a finished proof, with sha256, of inputs that are read again for that, each as far as it
 * was sent. Returns 0 or -errno; then it is not open. */
int proof_read(struct proof *proof, struct input *inputs, size_t count);

#endif
