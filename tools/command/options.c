/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "build_features.h"
#include "console.h"
#include "value.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { OPERAND = 1, ROWS_MAX = 96, LONG_BASE = 256, HELP_COLUMN = 28, WORD_MAX = 32 };

/* getopt_long's view of a table. Long options answer with LONG_BASE + the row's index. */
struct parser {
    const struct option_row *rows;
    size_t count;
    struct option longs[ROWS_MAX];
    char shorts[3 * ROWS_MAX + 3];
    bool given[ROWS_MAX];
};

static bool is_option(const struct option_row *row)
{
    return row->kind != OPTION_HEADING;
}

static bool is_number(const struct option_row *row)
{
    return row->kind >= OPTION_CHOICE;
}

static void parser_init(struct parser *parser)
{
    struct option *next = parser->longs;
    char *letter = parser->shorts;

    *letter++ = '-'; /* gives operands in their place; what a -- stands before is known so */
    *letter++ = ':'; /* tells a missing value from an unknown option */
    for (; parser->rows[parser->count].kind != OPTION_END; parser->count++) {
        const struct option_row *row = &parser->rows[parser->count];
        int takes = !row->argument ? no_argument
                    : row->implied ? optional_argument
                                   : required_argument;

        assert(parser->count + 1 < ROWS_MAX);
        assert(
            !is_number(row) || row->width == sizeof(uint64_t) ||
            (row->width == sizeof(uint32_t) && row->most <= UINT32_MAX && row->none <= UINT32_MAX));
        if (!is_option(row))
            continue;
        *next++ = (struct option){row->name, takes, NULL, LONG_BASE + (int)parser->count};
        if (row->letter) {
            *letter++ = row->letter;
            for (int colons = takes; colons > 0; colons--)
                *letter++ = ':';
        }
    }
}

/* Levenshtein's distance; words beyond WORD_MAX are no typo of ours. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], size = strlen(b);

    if (strlen(a) > WORD_MAX || size > WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= size; i++)
        row[i] = i;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < size; j++) {
            size_t least = corner + (a[i] != b[j]);

            corner = row[j + 1];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            if (corner + 1 < least)
                least = corner + 1;
            row[j + 1] = least;
        }
    }
    return row[size];
}

const struct option_row *options_find(const struct option_row *rows, const char *name)
{
    for (; rows->kind != OPTION_END; rows++) {
        if (is_option(rows) && strcmp(rows->name, name) == 0)
            return rows;
    }
    return NULL;
}

const char *options_guess(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t nearest = strlen(word) / 3 + 2; /* farther away is another word, not a typo */

    for (; *names; names++) {
        size_t away = distance(word, *names);

        if (away < nearest && away < strlen(*names)) {
            nearest = away;
            best = *names;
        }
    }
    return best;
}

/* Several options may begin with what was given; getopt_long then knows none. */
static void tell_unknown_long(const struct parser *parser, const char *given)
{
    const char *names[ROWS_MAX] = {NULL};
    char word[WORD_MAX + 1], candidates[200] = "";
    size_t count = 0, used = 0, matches = 0;
    size_t size = strcspn(given, "=");

    snprintf(word, sizeof(word), "%.*s", (int)size, given);
    if (features_tell_option(word))
        return;
    for (const struct option *option = parser->longs; option->name; option++) {
        names[count++] = option->name;
        if (strncmp(option->name, word, strlen(word)) == 0 && used < sizeof(candidates)) {
            used += (size_t)snprintf(candidates + used, sizeof(candidates) - used, "%s--%s",
                                     matches++ ? ", " : "", option->name);
        }
    }
    const char *guess = options_guess(word, names);
    if (matches > 1)
        console_tell("--%.*s: could be %s", (int)size, given, candidates);
    else if (guess)
        console_tell("--%.*s: no such option; did you mean --%s?", (int)size, given, guess);
    else
        console_tell("--%.*s: no such option; --help lists them", (int)size, given);
}

/* answer is getopt_long's: ':' for a missing value, '?' for the rest. */
static int tell_misuse(const struct parser *parser, int answer, char **argv)
{
    const struct option_row *row = NULL;

    if (optopt >= LONG_BASE)
        row = &parser->rows[optopt - LONG_BASE];
    for (size_t i = 0; i < parser->count && !row; i++) {
        if (is_option(&parser->rows[i]) && optopt && parser->rows[i].letter == optopt)
            row = &parser->rows[i];
    }
    if (row && answer == ':')
        console_tell("--%s: needs a value: --%s=%s", row->name, row->name, row->argument);
    else if (row)
        console_tell("--%s: takes no value", row->name);
    else if (optopt)
        console_tell("-%c: no such option; --help lists them", optopt);
    else
        tell_unknown_long(parser, argv[optind - 1] + strlen("--"));
    return -EINVAL;
}

static void store_word(const struct option_row *row, const char *value, void *target)
{
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)target = true;
        break;
    case OPTION_LIST: {
        struct option_list *list = target;

        list->words[list->count++] = value;
        list->words[list->count] = NULL;
        break;
    }
    default:
        *(const char **)target = value;
    }
}

/* Which of the words that the row's argument lists value is. */
static int find_word(const struct option_row *row, const char *value, uint64_t *index)
{
    const char *word = row->argument;

    for (*index = 0;; ++*index) {
        size_t size = strcspn(word, "|");

        if (strlen(value) == size && memcmp(value, word, size) == 0)
            return 0;
        if (!word[size])
            break;
        word += size + 1;
    }
    console_tell("--%s=%s: no such choice; use %s", row->name, value, row->argument);
    return -EINVAL;
}

/* How each kind of number is read, and written. */
static const struct {
    int (*read)(const char *text, uint64_t *value);
    const char *(*write)(uint64_t value, char text[VALUE_TEXT_SIZE]);
    const char *form; /* and an example */
    const char *unit; /* of what is written */
} numbers[] = {
    [OPTION_COUNT] = {value_count, value_count_text, "a count; use a whole number", ""},
    [OPTION_SIZE] = {value_size, value_size_text,
                     "a size; use a number with K, M, G or T, e.g. 256K", ""},
    [OPTION_SECONDS] = {value_seconds, value_seconds_text, "a time; use seconds, e.g. 2 or 0.5",
                        " seconds"},
    [OPTION_TIME] = {value_time, value_time_text,
                     "a time; use a number with us, ms or s, e.g. 500us", ""},
    [OPTION_MODE] = {value_mode, value_mode_text, "a mode; use octal digits, e.g. 660", ""},
};

static int read_number(const struct option_row *row, const char *value, uint64_t *number)
{
    char least[VALUE_TEXT_SIZE], most[VALUE_TEXT_SIZE];
    int error = numbers[row->kind].read(value, number);

    if (error == -EINVAL) {
        console_tell("--%s=%s: not %s", row->name, value, numbers[row->kind].form);
    } else if (error || *number < row->least || *number > row->most) {
        error = -EINVAL;
        console_tell("--%s=%s: out of range; use %s to %s%s", row->name, value,
                     numbers[row->kind].write(row->least, least),
                     numbers[row->kind].write(row->most, most), numbers[row->kind].unit);
    } else if (*number == 0 && row->none) {
        *number = row->none;
    }
    return error;
}

static void store_number(const struct option_row *row, uint64_t number, void *target)
{
    uint32_t narrow = (uint32_t)number;

    if (row->width == sizeof(narrow))
        memcpy(target, &narrow, sizeof(narrow));
    else
        memcpy(target, &number, sizeof(number));
}

static int read_value(struct parser *parser, const struct option_row *row, void *settings)
{
    const char *value = optarg ? optarg : row->implied;
    void *target = (char *)settings + row->offset;
    bool *given = &parser->given[row - parser->rows];
    uint64_t number = 0;
    int error = 0;

    if (*given && row->kind != OPTION_FLAG && row->kind != OPTION_LIST) {
        console_tell("--%s=%s: given twice; once is enough", row->name, value);
        return -EINVAL;
    }
    *given = true;
    if (row->kind == OPTION_CHOICE || row->kind == OPTION_WORD)
        error = find_word(row, value, &number);
    else if (is_number(row))
        error = read_number(row, value, &number);
    if (error == 0 && is_number(row))
        store_number(row, number, target);
    else if (error == 0)
        store_word(row, value, target);
    return error;
}

static const struct option_row *find_row(const struct parser *parser, int answer)
{
    if (answer >= LONG_BASE)
        return &parser->rows[answer - LONG_BASE];
    for (size_t i = 0; i < parser->count; i++) {
        if (is_option(&parser->rows[i]) && parser->rows[i].letter == answer)
            return &parser->rows[i];
    }
    return NULL;
}

/* Another name for an option before it. */
static bool is_alias(const struct parser *parser, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_option(&parser->rows[i]) && parser->rows[i].offset == parser->rows[index].offset)
            return true;
    return false;
}

/* Room for as many words as argv could hold. */
static int make_lists(const struct parser *parser, int argc, void *settings)
{
    for (size_t i = 0; i < parser->count; i++) {
        if (parser->rows[i].kind != OPTION_LIST || is_alias(parser, i))
            continue;
        struct option_list *list = (void *)((char *)settings + parser->rows[i].offset);
        list->words = calloc((size_t)argc + 1, sizeof(list->words[0]));
        if (!list->words) {
            console_tell("out of memory");
            return -EINVAL;
        }
    }
    return 0;
}

/* Takes the answer of getopt_long at the place in argv: an operand is moved to the front, behind
 * the count that are there. */
static int take_answer(struct parser *parser, int answer, char **argv, int *operands,
                       void *settings)
{
    if (answer == OPERAND) {
        argv[++*operands] = optarg;
        return 0;
    }
    const struct option_row *row = answer == ':' || answer == '?' ? NULL : find_row(parser, answer);
    return row ? read_value(parser, row, settings) : tell_misuse(parser, answer, argv);
}

int options_read_command(const struct option_row *rows, int argc, char **argv, void *settings,
                         int *behind)
{
    struct parser parser = {.rows = rows};
    int operands = 0;

    *behind = 0;
    parser_init(&parser);
    if (make_lists(&parser, argc, settings))
        return -EINVAL;
    opterr = 0;
    optind = 0; /* glibc and musl: begin anew */
    for (int next = 1;; next = optind) {
        bool dashes = next < argc && strcmp(argv[next], "--") == 0;
        int answer = getopt_long(argc, argv, parser.shorts, parser.longs, NULL);

        if (answer == -1) {
            if (dashes)
                *behind = next + 1;
            break;
        }
        if (take_answer(&parser, answer, argv, &operands, settings))
            return -EINVAL;
    }
    int end = *behind ? *behind : argc;
    memmove(argv + end - operands, argv + 1, (size_t)operands * sizeof(argv[0]));
    return end - operands;
}

int options_read(const struct option_row *rows, int argc, char **argv, void *settings)
{
    int behind;

    return options_read_command(rows, argc, argv, settings, &behind);
}

void options_help_row(const struct option_row *row, FILE *out)
{
    char head[80];
    char letter[] = "    ";

    if (row->letter)
        snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    int width = snprintf(head, sizeof(head), "  %s--%s%s%s%s%s", letter, row->name,
                         row->implied ? "[" : "", row->argument ? "=" : "",
                         row->argument ? row->argument : "", row->implied ? "]" : "");
    fputs(head, out);
    if (width > HELP_COLUMN - 2) {
        fputc('\n', out);
        width = 0;
    }
    for (const char *line = row->help; *line;) {
        size_t size = strcspn(line, "\n");

        fprintf(out, "%*s%.*s\n", HELP_COLUMN - width, "", (int)size, line);
        width = 0;
        line += size + (line[size] == '\n');
    }
}

void options_help(const struct option_row *rows, FILE *out)
{
    for (; rows->kind != OPTION_END; rows++) {
        if (rows->kind == OPTION_HEADING)
            fprintf(out, "\n%s:\n", rows->name);
        else
            options_help_row(rows, out);
    }
}
