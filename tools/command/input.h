/* SPDX-License-Identifier: MIT */
#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is to be sent: a file, standard input, or a text. */
struct input {
    const char *path; /* "-" is standard input */
    const char *text; /* instead of a path, if not NULL */
};

/* Can it be sent? Opens nothing. Returns 0, or -errno. */
int input_check(const struct input *input);

/* May it be sent a second time, with the same bytes? */
bool input_repeats(const struct input *input);

/* For messages. */
const char *input_name(const struct input *input);

/* An input that is being sent. */
struct reader {
    const struct input *input;
    int fd;         /* -1 for a text */
    bool by_kernel; /* the kernel sends the file by itself */
    bool fixed;     /* a regular file: its size must stay what it was */
    uint64_t size;  /* of a regular file, when it was opened */
    uint64_t start; /* where in it the first byte to send stands */
    uint64_t taken;
};

/* Returns 0 or -errno. */
int reader_open(struct reader *reader, const struct input *input);
void reader_close(struct reader *reader);

/* Sends what the non-blocking socket takes now, with no copy in user space. Returns the number of
 * bytes, 0 at the end, -EAGAIN when the socket takes nothing, -EOPNOTSUPP when this input must be
 * read instead, -ESTALE when the file changed its size, or another -errno. */
ssize_t reader_send(struct reader *reader, int socket);

/* Reads into buffer. Returns the number of bytes, 0 at the end, or -errno as above. */
ssize_t reader_read(struct reader *reader, void *buffer, size_t size);

#endif
