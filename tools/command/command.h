/* SPDX-License-Identifier: MIT */
#ifndef COMMAND_H
#define COMMAND_H

#include "options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* What the command exits with. */
enum status {
    STATUS_OK,
    STATUS_FAILED, /* a stream did not end eof, or was not sent */
    STATUS_USAGE,
    STATUS_NO_START, /* nothing could be received or sent: address, backend, sink, file */
    STATUS_REFUSED,  /* a receipt says that a stream is not at the server, or not as it was sent */
    STATUS_UNKNOWN,  /* no receipt came */
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* its own name is argv[0]; returns what to exit with */
    int (*print_help)(void);           /* returns an exit status */
    const struct option_row *options;
    const char *help; /* part of a line */
};

/* All that there are; the last has no name. */
extern const struct command commands[];

int recv_command(int argc, char **argv);
int send_command(int argc, char **argv);
int pin_command(int argc, char **argv);
int probe_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int help_command(int argc, char **argv);

int send_help(void);
int pin_help(void);
int probe_help(void);
int bench_help(void);
int help_help(void);

extern const struct option_row send_options[], pin_options[], probe_options[], bench_options[],
    help_options[];

/* Prints the version. */
int command_version(void);

/* Flushes what was printed on standard output; tells when that failed. */
int command_printed(void);

/* Prints object on standard output, and gives it back; NULL is one that there was no memory for.
 * Tells what failed. Returns an exit status. */
int command_print_json(json_t *object, size_t flags);

/* Standard output was closed when this process was started. */
bool command_output_closed(void);

/* Tells what is wrong with the command line. Returns STATUS_USAGE. */
int command_misused(const char *text);

/* The same, of an operand where the command takes none. */
int command_refuse_operand(const char *command, const char *operand);

/* Raises the soft limit of open descriptors to the hard one: each stream needs one. */
void command_raise_limits(void);

#endif
