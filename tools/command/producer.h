/* SPDX-License-Identifier: MIT */
#ifndef PRODUCER_H
#define PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A command whose standard output is a stream. One at a time in the process. It shares standard
 * input, standard error and the terminal. Whatever ends this process ends the command too: SIGINT,
 * SIGTERM and SIGHUP are held back while it runs (producer_stop_fd), and by any other death it gets
 * SIGTERM from the kernel. */
struct producer {
    pid_t pid;   /* 0: not started, or its status is known */
    int output;  /* to read from; -1 when closed */
    int process; /* a pidfd: readable once the command has exited */
    int status;  /* of waitpid(2), once pid is 0 */
};

/* Can command[0] be found, in PATH if it has no slash? Returns 0, or -errno. */
int producer_check(const char *name);

/* Starts the NULL-terminated command. Returns 0 or -errno; then nothing is left behind. */
int producer_start(struct producer *producer, char *const *command);

/* Has it exited? Then its status is taken. */
bool producer_exited(struct producer *producer);

/* Closes what is open. Ends a command that still runs, and whatever it has started: by SIGTERM, and
 * two seconds later by SIGKILL. */
void producer_end(struct producer *producer);

/* "exited with status 3" or "was killed by signal 9 (Killed)". Returns text. */
const char *producer_verdict(const struct producer *producer, char *text, size_t size);

/* Readable once a signal to stop has come; -1 before the first producer. */
int producer_stop_fd(void);

/* The signal that has come, or 0; and its name. */
int producer_stopped_by(void);
const char *producer_stop_name(void);

#endif
