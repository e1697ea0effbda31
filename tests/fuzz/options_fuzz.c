/* SPDX-License-Identifier: MIT */
/* Any command line, a word a line: read as options of every kind, and each word as every value. */
#include "fuzz.h"

#include "tools/command/options.h"
#include "tools/command/value.h"

#include "tools/command/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64, UNTOUCHED = 77 };

/* ---- the console, which must hear one line of each mistake and nothing else ------------------ */

static unsigned told;

void console_tell(const char *format, ...)
{
    char text[1000];
    va_list arguments;

    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) <= 0 || strchr(text, '\n'))
        fuzz_fail("no line that a person could read");
    va_end(arguments);
    told++;
}

/* ---- values ---------------------------------------------------------------------------------- */

typedef int read_value(const char *text, uint64_t *value);
typedef const char *write_value(uint64_t value, char text[VALUE_TEXT_SIZE]);

/* What was read and is written again must be read as the same. */
static void check_value(read_value *read, write_value *write, uint64_t most, const char *word)
{
    uint64_t value = UNTOUCHED, again = UNTOUCHED;
    char text[VALUE_TEXT_SIZE];
    int error = read(word, &value);

    if (error != 0 && error != -EINVAL && error != -ERANGE)
        fuzz_fail("\"%s\": error %d", word, error);
    if (error && value != UNTOUCHED)
        fuzz_fail("\"%s\" was refused, but stored", word);
    if (error || value > most)
        return;
    if (read(write(value, text), &again) != 0 || again != value)
        fuzz_fail("\"%s\" is %llu, written as \"%s\"", word, (unsigned long long)value, text);
}

static void check_unescape(const char *word)
{
    size_t length = strlen(word);
    char *bytes = malloc(length + 1);
    long used = value_unescape(word, bytes, length);

    if (used > (long)length || (used < 0 && used != -EINVAL))
        fuzz_fail("\"%s\": %ld bytes of %zu", word, used, length);
    /* With a byte less room than it needs. */
    if (used > 0 && value_unescape(word, bytes, (size_t)used - 1) != -E2BIG)
        fuzz_fail("\"%s\" went where there is no room", word);
    free(bytes);
}

static void check_word(const char *word)
{
    static const char *const names[] = {"backend", "buffer-size", "buffers", "quiet", NULL};
    char text[VALUE_TEXT_SIZE];
    uint64_t bytes;

    check_value(value_count, value_count_text, UINT64_MAX, word);
    check_value(value_mode, value_mode_text, 07777, word);
    check_value(value_size, value_size_text, UINT64_MAX, word);
    check_value(value_time, value_time_text, UINT64_MAX, word);
    /* Written with 15 digits. */
    check_value(value_seconds, value_seconds_text, UINT64_C(999999999999999), word);
    if (value_size(word, &bytes) == 0 && strlen(value_amount_text((double)bytes, text)) == 0)
        fuzz_fail("no text for %s", word);
    check_unescape(word);
    options_guess(word, names);
}

/* ---- the command line ------------------------------------------------------------------------ */

struct settings {
    struct option_list list;
    const char *text, *optional;
    bool flag;
    const char *word;
    uint64_t size, time;
    unsigned count, seconds, choice, mode;
};

#define AT(member) OPTION_AT(struct settings, member)

static const struct option_row rows[] = {
    {OPTION_HEADING, .name = "Every kind"},
    {OPTION_LIST, 'l', "list", "WORD", AT(list), .help = "words"},
    {OPTION_TEXT, 't', "text", "TEXT", AT(text), .help = "a text"},
    {OPTION_TEXT, 'o', "optional", "TEXT", AT(optional), .implied = "x", .help = "a text or none"},
    {OPTION_FLAG, 'f', "flag", .help = "a flag", AT(flag)},
    {OPTION_COUNT, 'n', "count", "N", AT(count), .least = 1, .most = 10, .help = "a count"},
    {OPTION_SIZE, .name = "buffer-size", .argument = "SIZE", AT(size), .least = 1, .most = 1 << 30,
     .help = "a size"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(seconds), .least = 100,
     .most = 9000, .implied = "1", .help = "a time"},
    {OPTION_TIME, .name = "gather-max", .argument = "TIME", AT(time), .most = 100000,
     .help = "a time"},
    {OPTION_CHOICE, .name = "choice", .argument = "json|text|none", AT(choice), .help = "a choice"},
    {OPTION_WORD, .name = "word", .argument = "up|down", AT(word), .help = "a word"},
    {OPTION_MODE, .name = "mode", .argument = "MODE", AT(mode), .least = 1, .most = 0777,
     .help = "a mode"},
    {.kind = OPTION_END},
};

/* Cuts line at its newlines. Returns how many words there are. */
static int split(char *line, char **words)
{
    int count = 0;

    while (line && count < WORDS_MAX)
        words[count++] = strsep(&line, "\n");
    words[count] = NULL;
    return count;
}

static bool is_one_of(const char *word, char *const *words)
{
    while (*words && *words != word)
        words++;
    return *words;
}

static void check_settings(const struct settings *settings)
{
    if (settings->count < 1 || settings->count > 10)
        fuzz_fail("count out of range");
    if (settings->size < 1 || settings->size > 1 << 30)
        fuzz_fail("size out of range");
    if (settings->seconds < 100 || settings->seconds > 9000 || settings->time > 100000)
        fuzz_fail("time out of range");
    if (settings->choice > 2)
        fuzz_fail("choice out of range");
    if (strcmp(settings->word, "up") != 0 && strcmp(settings->word, "down") != 0)
        fuzz_fail("no such word");
    if (settings->mode < 1 || settings->mode > 0777)
        fuzz_fail("mode out of range");
    if (!settings->text || !settings->optional)
        fuzz_fail("no text");
    for (size_t i = 0; i <= settings->list.count; i++)
        if (!settings->list.words[i] != (i == settings->list.count))
            fuzz_fail("the list's end is not where its count says");
}

static void check_line(int argc, char **argv)
{
    struct settings settings = {
        .text = "", .optional = "", .word = "up", .count = 1, .size = 1, .seconds = 100, .mode = 1};
    char *before[WORDS_MAX + 2];
    int operand;

    memcpy(before, argv, (size_t)(argc + 1) * sizeof(argv[0]));
    told = 0;
    operand = options_read(rows, argc, argv, &settings);
    if (operand < 0 && (operand != -EINVAL || told != 1))
        fuzz_fail("refused with %d, and %u lines", operand, told);
    if (operand >= 0) {
        if (operand < 1 || operand > argc || told)
            fuzz_fail("operands from %d of %d, and %u lines", operand, argc, told);
        check_settings(&settings);
    }
    for (int i = 0; i < argc; i++)
        if (!is_one_of(argv[i], before))
            fuzz_fail("argv has a word that nobody gave");
    free(settings.list.words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char *argv[WORDS_MAX + 2] = {(char[]){"command"}};
    int argc = 1 + split(text, argv + 1);

    for (int i = 1; i < argc; i++)
        check_word(argv[i]);
    check_line(argc, argv);
    free(text);
    return 0;
}
