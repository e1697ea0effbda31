/* SPDX-License-Identifier: MIT */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A command's options are a const table: it drives both the reading and the help. */

enum option_kind {
    OPTION_END,     /* the last row */
    OPTION_HEADING, /* name is a line of the help */
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* const char * into argv */
    OPTION_WORD,    /* const char *: one of the words that argument lists: "json|text|none" */
    OPTION_LIST,    /* struct option_list; may repeat */
    /* From here on numbers, in any integer of 4 or 8 bytes that holds the row's most. */
    OPTION_CHOICE, /* which of the words that argument lists, from 0 */
    OPTION_COUNT,
    OPTION_SIZE,    /* bytes */
    OPTION_SECONDS, /* milliseconds */
    OPTION_TIME,    /* microseconds */
    OPTION_MODE,    /* permissions, given in octal */
};

struct lb_description;

/* Describes the index-th value that an option may have. Returns false past the last. */
typedef bool option_values(size_t index, struct lb_description *value);

struct option_row {
    enum option_kind kind;
    char letter; /* short form, or 0 */
    const char *name;
    const char *argument;  /* as the help shows it */
    size_t offset, width;  /* where it goes in the command's settings: OPTION_AT */
    uint64_t least, most;  /* limits of numbers, in the unit they are stored in */
    uint64_t none;         /* stored for a 0 that is given, if the settings call that otherwise */
    const char *implied;   /* the value of a bare --name where a value may be left out */
    option_values *values; /* which there may be, if argument doesn't list them; NULL: any */
    const char *help;      /* newlines begin a new line of the help */
};

/* A member of settings, of the kind's type. */
#define OPTION_AT(settings, member)                                                                \
    .offset = offsetof(settings, member), .width = sizeof(((settings *)NULL)->member)

/* A list of values in the order given; words[count] is NULL. */
struct option_list {
    const char **words;
    size_t count;
};

/* Reads argv, moving the operands behind the options, into settings, which holds the defaults.
 * Returns the index of the first operand, or -EINVAL after telling what is wrong. A list's words
 * are allocated once and live as long as the process needs its settings: free(words). */
int options_read(const struct option_row *rows, int argc, char **argv, void *settings);

/* The same for a command that takes another command's words behind its own: *behind is the index of
 * the first word behind a --, which may be argc, or 0 if there is none. Operands before it stand
 * before it still. */
int options_read_command(const struct option_row *rows, int argc, char **argv, void *settings,
                         int *behind);

/* The row of the option of this name, without dashes, or NULL. */
const struct option_row *options_find(const struct option_row *rows, const char *name);

/* Prints the table, or a row of it, for a person. */
void options_help(const struct option_row *rows, FILE *out);
void options_help_row(const struct option_row *row, FILE *out);

/* Which of the NULL-terminated names word was probably meant to be, or NULL. */
const char *options_guess(const char *word, const char *const *names);

#endif
