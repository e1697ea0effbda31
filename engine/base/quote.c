/* SPDX-License-Identifier: MIT */
#include "quote.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t escape(unsigned char byte, char *out)
{
    static const char letters[] = "n\nt\tr\r";

    for (const char *letter = letters; *letter; letter += 2) {
        if (letter[1] == (char)byte) {
            out[0] = '\\';
            out[1] = letter[0];
            return 2;
        }
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = "0123456789abcdef"[byte >> 4];
    out[3] = "0123456789abcdef"[byte & 15];
    return 4;
}

/* By its first byte; 0 if no character begins so. */
static size_t length_of(unsigned char first)
{
    return first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

static bool is_shown(const char *bytes, size_t size)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0x61c, 0x61c},   {0x200e, 0x200f}, {0x2028, 0x202e},   {0x2066, 0x2069},
                  {0xd800, 0xdfff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}, {0x110000, UINT32_MAX}};
    uint32_t code = (unsigned char)bytes[0] & (0xffu >> (size + 1));

    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((unsigned char)bytes[i] & 0x3f);
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        if (code >= hidden[i].first && code <= hidden[i].last)
            return false;
    }
    return code >= least[size];
}

size_t lb_quoter_finish(struct lb_quoter *quoter, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < quoter->count; i++)
        used += escape((unsigned char)quoter->held[i], out + used);
    quoter->count = 0;
    return used;
}

static size_t take_single(const struct lb_quoter *quoter, char byte, char *out)
{
    if (quoter->exact && (byte == '\\' || byte == '\'')) {
        out[0] = '\\';
        out[1] = byte;
        return 2;
    }
    if ((byte >= ' ' && byte < 0x7f) || (quoter->lines && (byte == '\n' || byte == '\t'))) {
        *out = byte;
        return 1;
    }
    return escape((unsigned char)byte, out);
}

static size_t take_byte(struct lb_quoter *quoter, char byte, char *out)
{
    size_t used = 0;

    if (quoter->count > 0 && ((unsigned char)byte & 0xc0) == 0x80) {
        quoter->held[quoter->count++] = byte;
        if (quoter->count < length_of((unsigned char)quoter->held[0]))
            return 0;
        if (!is_shown(quoter->held, quoter->count))
            return lb_quoter_finish(quoter, out);
        memcpy(out, quoter->held, quoter->count);
        used = quoter->count;
        quoter->count = 0;
        return used;
    }
    used = lb_quoter_finish(quoter, out);
    if (length_of((unsigned char)byte) == 0)
        return used + take_single(quoter, byte, out + used);
    quoter->held[quoter->count++] = byte;
    return used;
}

size_t lb_quoter_take(struct lb_quoter *quoter, const char *data, size_t size, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++)
        used += take_byte(quoter, data[i], out + used);
    return used;
}

const char *lb_quote_name(const char *name, char text[LB_QUOTE_SIZE])
{
    static const char cut[] = "...";
    struct lb_quoter quoter = {.exact = true};
    char piece[LB_QUOTE_ROOM(1)];
    size_t used = 0;

    text[used++] = '\'';
    while (*name) {
        size_t size = lb_quoter_take(&quoter, name++, 1, piece);

        /* Room for what is held, the mark of a cut and the end. */
        if (used + size > LB_QUOTE_SIZE - LB_QUOTE_ROOM(0) - sizeof(cut) - 2) {
            quoter.count = 0;
            memcpy(text + used, cut, sizeof(cut) - 1);
            used += sizeof(cut) - 1;
            break;
        }
        memcpy(text + used, piece, size);
        used += size;
    }
    used += lb_quoter_finish(&quoter, text + used);
    text[used++] = '\'';
    text[used] = '\0';
    return text;
}
