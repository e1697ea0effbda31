/* SPDX-License-Identifier: MIT */
#include "proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READ_SIZE = 256 << 10 };

static const char *const names[] = {"xxh3", "sha256"};

int proof_open(struct proof *proof, bool sha256)
{
    size_t wanted = sha256 ? 2 : 1;

    *proof = (struct proof){0};
    while (proof->count < wanted) {
        struct proof_digest *digest = &proof->digests[proof->count];
        int error = lb_digest_choose(&digest->method, names[proof->count]);

        proof->count++;
        if (!error)
            error = lb_digest_open(&digest->running, &digest->method);
        if (error) {
            proof_close(proof);
            return error;
        }
    }
    return 0;
}

void proof_close(struct proof *proof)
{
    for (size_t i = 0; i < proof->count; i++) {
        lb_digest_close(&proof->digests[i].running);
        lb_digest_release(&proof->digests[i].method);
    }
    proof->count = 0;
}

int proof_add(struct proof *proof, const void *data, size_t size)
{
    int error = 0;

    for (size_t i = 0; i < proof->count && !error; i++)
        error = lb_digest_update(&proof->digests[i].running, data, size);
    return error;
}

int proof_finish(struct proof *proof)
{
    int error = 0;

    for (size_t i = 0; i < proof->count && !error; i++)
        error = lb_digest_finish(&proof->digests[i].running, proof->digests[i].text);
    return error;
}

const char *proof_digest(const struct proof *proof, const char *algorithm)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (i < proof->count && strcmp(names[i], algorithm) == 0)
            return proof->digests[i].text;
    }
    return NULL;
}

static int add_input(struct proof *proof, struct input *input, char *buffer)
{
    struct reader reader;
    ssize_t size = reader_open(&reader, input, input->sent);

    if (size < 0)
        return (int)size;
    while (size >= 0) {
        size = reader_read(&reader, buffer, READ_SIZE);
        if (size <= 0)
            break;
        int error = proof_add(proof, buffer, (size_t)size);
        if (error)
            size = error;
    }
    reader_close(&reader);
    return (int)size;
}

int proof_read(struct proof *proof, struct input *inputs, size_t count)
{
    char *buffer = malloc(READ_SIZE);
    int error = buffer ? proof_open(proof, true) : -ENOMEM;

    if (!error) {
        for (size_t i = 0; i < count && !error; i++)
            error = add_input(proof, &inputs[i], buffer);
        if (!error)
            error = proof_finish(proof);
        if (error)
            proof_close(proof);
    }
    free(buffer);
    return error;
}
