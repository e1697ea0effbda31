/* SPDX-License-Identifier: MIT */
#include "receipt.h"

#include <errno.h>
#include <string.h>

/* What is not read yet. */
struct rest {
    const char *at, *end;
};

static const char ok[] = "ok ", error[] = "error ";

/* Digits of a digest that is known here; others may have any even number. */
static const struct {
    const char *algorithm;
    size_t digits;
} known[] = {{"xxh3", 32}, {"sha256", 64}};

static bool is_visible(char c)
{
    return c > ' ' && c <= '~';
}

static bool is_name(char c)
{
    return is_visible(c) && c != ':';
}

static bool is_hexadecimal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool take(struct rest *rest, char c)
{
    if (rest->at == rest->end || *rest->at != c)
        return false;
    rest->at++;
    return true;
}

static bool take_start(struct rest *rest, const char *start)
{
    size_t size = strlen(start);

    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, start, size) != 0)
        return false;
    rest->at += size;
    return true;
}

/* At least one of the characters asked for, and no more than fit. */
static bool take_word(struct rest *rest, bool (*is)(char), char *word, size_t room)
{
    size_t size = 0;

    while (rest->at < rest->end && is(*rest->at)) {
        if (size + 1 == room)
            return false;
        word[size++] = *rest->at++;
    }
    word[size] = '\0';
    return size > 0;
}

static bool take_number(struct rest *rest, uint64_t *number)
{
    const char *first = rest->at;
    uint64_t sum = 0;

    for (; rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9'; rest->at++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*rest->at - '0'), &sum))
            return false;
    }
    *number = sum;
    return rest->at > first && (*first != '0' || rest->at - first == 1);
}

static bool take_digest(struct rest *rest, struct receipt *receipt)
{
    if (!take_word(rest, is_name, receipt->algorithm, sizeof(receipt->algorithm)) ||
        !take(rest, ':') ||
        !take_word(rest, is_hexadecimal, receipt->digest, sizeof(receipt->digest)))
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(receipt->algorithm, known[i].algorithm) == 0)
            return strlen(receipt->digest) == known[i].digits;
    }
    return strlen(receipt->digest) % 2 == 0;
}

int receipt_read(struct receipt *receipt, const char *text, size_t size)
{
    struct rest rest = {text, text + size};
    bool well;

    receipt->ok = take_start(&rest, ok);
    receipt->algorithm[0] = receipt->digest[0] = '\0';
    if (receipt->ok)
        well = take_number(&rest, &receipt->bytes) && take(&rest, ' ') &&
               take_digest(&rest, receipt) && take(&rest, ' ') &&
               take_word(&rest, is_visible, receipt->word, sizeof(receipt->word));
    else
        well = take_start(&rest, error) &&
               take_word(&rest, is_visible, receipt->word, sizeof(receipt->word)) &&
               take(&rest, ' ') && take_number(&rest, &receipt->bytes);
    return well && take(&rest, '\n') && rest.at == rest.end ? 0 : -EINVAL;
}

static bool begins_like(const struct receipt_line *line, const char *start)
{
    size_t size = strlen(start);

    return memcmp(line->text, start, line->size < size ? line->size : size) == 0;
}

static bool is_whole(const struct receipt_line *line)
{
    return line->size > 0 && line->text[line->size - 1] == '\n';
}

/* May the line be a receipt, once all of it is here? */
static bool may_be_receipt(const struct receipt_line *line)
{
    return begins_like(line, ok) || begins_like(line, error);
}

static void let_go(struct receipt_line *line, void (*pass)(void *, const char *, size_t),
                   void *context)
{
    if (line->size > 0)
        pass(context, line->text, line->size);
    line->size = 0;
}

void receipt_line_take(struct receipt_line *line, const char *data, size_t size,
                       void (*pass)(void *context, const char *data, size_t size), void *context)
{
    const char *newline = size > 1 ? memrchr(data, '\n', size - 1) : NULL;

    if (size == 0)
        return;
    if (newline || is_whole(line)) { /* another line begins: the one before was not the last */
        let_go(line, pass, context);
        line->passing = false;
    }
    if (newline) {
        size_t before = (size_t)(newline - data) + 1;

        pass(context, data, before);
        data += before;
        size -= before;
    }
    if (!line->passing && size <= sizeof(line->text) - line->size) {
        memcpy(line->text + line->size, data, size);
        line->size += size;
        if (may_be_receipt(line))
            return;
        line->passing = !is_whole(line);
        let_go(line, pass, context);
        return;
    }
    let_go(line, pass, context);
    line->passing = data[size - 1] != '\n';
    pass(context, data, size);
}
