/* SPDX-License-Identifier: MIT */
#ifndef INPUT_H
#define INPUT_H

#include "producer.h"
#include "quote.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is to be sent: a file, standard input, a text, or what a command prints. */
struct input {
    const char *path;     /* "-" is standard input */
    const char *text;     /* instead of a path, if not NULL */
    char *const *command; /* the same; NULL-terminated */
    uint64_t sent;        /* by the last who read it to its end */
};

/* Can it be sent? Opens nothing. Returns 0, or -errno. */
int input_check(const struct input *input);

/* May it be sent a second time, with the same bytes? */
bool input_repeats(const struct input *input);

/* How many bytes it is going to be, as far as that can be known before. */
bool input_size(const struct input *input, uint64_t *size);

/* For messages: a path is quoted. Returns what is in text, or a static string. */
const char *input_name(const struct input *input, char text[LB_QUOTE_SIZE]);

/* An input that is being sent. A regular file is sent as long as it was when it was opened: what is
 * added meanwhile is not part of it, and one that has become shorter is an error. */
struct reader {
    struct input *input;
    int fd;         /* to poll before a read; -1: a text, which is always ready */
    bool by_kernel; /* the kernel can send the file by itself */
    bool measured;  /* there is a size to send, and it must be there */
    uint64_t left;  /* of it */
    uint64_t start; /* where in the file the first byte to send stands */
    uint64_t taken;
    struct producer producer; /* of a command */
};

/* With most below UINT64_MAX so many bytes are read of a regular file, whatever its size is now:
 * for reading again what was sent. Returns 0 or -errno; then nothing is open. */
int reader_open(struct reader *reader, struct input *input, uint64_t most);
void reader_close(struct reader *reader);

/* Sends what the non-blocking socket takes now, with no copy in user space. Returns the number of
 * bytes, 0 at the end, -EAGAIN when the socket takes nothing, -EOPNOTSUPP when this input must be
 * read instead, -ESTALE when the file has become shorter, or another -errno. */
ssize_t reader_send(struct reader *reader, int socket);

/* Reads into buffer. Returns the number of bytes, 0 at the end, -EAGAIN when fd is to be polled
 * first, -ECHILD when the command failed, or -errno as above. */
ssize_t reader_read(struct reader *reader, void *buffer, size_t size);

/* What to tell of an error of the above. Returns text, or a static string. */
const char *reader_why(const struct reader *reader, int error, char *text, size_t size);

#endif
