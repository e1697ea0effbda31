/* SPDX-License-Identifier: MIT */
/* The soak's command for the sink exec: taker LOG reads a stream from standard input and adds a
 * line to LOG: "whole BYTES" or "wrong BYTES". */
#include "payload.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct soak_check check = {0};
    char line[64], buffer[65536];
    ssize_t size;
    int log = argc == 2 ? open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (log < 0)
        return EXIT_FAILURE;
    while ((size = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
        soak_check_take(&check, buffer, (size_t)size);
    if (size < 0)
        return EXIT_FAILURE;
    int length =
        snprintf(line, sizeof(line), "%s %llu\n", soak_check_whole(&check) ? "whole" : "wrong",
                 (unsigned long long)check.bytes);
    return write(log, line, (size_t)length) == length ? EXIT_SUCCESS : EXIT_FAILURE;
}
