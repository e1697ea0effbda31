/* SPDX-License-Identifier: MIT */
/* Any answer of a server, chopped as its first byte says: the same bytes come through, and the same
 * receipt is found, as if it had come in one piece. */
#include "fuzz.h"

#include "dice.h"
#include "tools/command/receipt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What passed of an answer. */
struct passed {
    const char *answer;
    size_t size;
};

static void pass(void *context, const char *data, size_t size)
{
    struct passed *passed = context;

    if (size == 0 || memcmp(data, passed->answer + passed->size, size) != 0)
        fuzz_fail("other bytes passed than came, at %zu", passed->size);
    passed->size += size;
}

/* A receipt has one form only, so what is written again is what was read. */
static void check_text(const char *text, size_t size)
{
    struct receipt receipt;
    char again[RECEIPT_SIZE];
    int length;

    if (receipt_read(&receipt, text, size) != 0)
        return;
    if (receipt.ok)
        length = snprintf(again, sizeof(again), "ok %" PRIu64 " %s:%s %s\n", receipt.bytes,
                          receipt.algorithm, receipt.digest, receipt.word);
    else
        length =
            snprintf(again, sizeof(again), "error %s %" PRIu64 "\n", receipt.word, receipt.bytes);
    if ((size_t)length != size || memcmp(again, text, size) != 0)
        fuzz_fail("\"%.*s\" was read as \"%s\"", (int)size, text, again);
}

/* Feeds the answer in pieces. Each is a copy, so that nothing is read beyond it. */
static void take(struct receipt_line *line, struct passed *passed, size_t size, struct dice *dice)
{
    for (size_t at = 0, part; at < size; at += part) {
        part = dice ? 1 + dice_below(dice, 40) : size;
        if (part > size - at)
            part = size - at;
        char *piece = fuzz_text((const uint8_t *)passed->answer + at, part);
        receipt_line_take(line, piece, part, pass, passed);
        free(piece);
        if (line->size > RECEIPT_SIZE || passed->size + line->size != at + part)
            fuzz_fail("%zu bytes came, %zu passed, %zu are kept", at + part, passed->size,
                      line->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct receipt_line whole = {0}, chopped = {0};
    struct dice dice = dice_of_seed(size > 0 ? data[0] : 0);
    size_t length = size > 0 ? size - 1 : 0;
    char *answer = fuzz_text(data + (size > 0), length);
    struct passed by_whole = {.answer = answer}, by_chopped = {.answer = answer};

    take(&whole, &by_whole, length, NULL);
    take(&chopped, &by_chopped, length, &dice);
    if (whole.size != chopped.size || by_whole.size != by_chopped.size)
        fuzz_fail("%zu bytes are kept of the whole, %zu of the pieces", whole.size, chopped.size);
    if (memcmp(whole.text, answer + by_whole.size, whole.size) != 0 ||
        memcmp(chopped.text, whole.text, whole.size) != 0)
        fuzz_fail("other bytes are kept than came last");
    check_text(whole.text, whole.size);
    check_text(answer, length);
    free(answer);
    return 0;
}
