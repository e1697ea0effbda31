/* SPDX-License-Identifier: MIT */
#ifndef COMMAND_H
#define COMMAND_H

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

/* Each takes its own name as argv[0] and returns what to exit with. */
int recv_command(int argc, char **argv);
int send_command(int argc, char **argv);
int probe_command(int argc, char **argv);

/* Prints the version. */
int command_version(void);

/* Flushes what was printed on standard output; tells when that failed. */
int command_printed(void);

/* Standard output was closed when this process was started. */
bool command_output_closed(void);

/* Tells what is wrong with the command line. Returns STATUS_USAGE. */
int command_misused(const char *text);

/* Raises the soft limit of open descriptors to the hard one: each stream needs one. */
void command_raise_limits(void);

#endif
