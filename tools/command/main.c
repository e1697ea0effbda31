/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "console.h"
#include "options.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"recv", recv_command, "receive streams and hand every byte to a sink"},
    {"send", send_command, "send files, standard input or a text, one stream each"},
    {"probe", probe_command, "tell which backends and kernel features work here"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *out)
{
    fputs("Usage: lastbyte COMMAND [options]\n\n"
          "Receives byte streams to the last byte.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-7s %s\n", commands[i].name, commands[i].help);
    fputs(
        "\n`lastbyte COMMAND --help` tells a command's options; `lastbyte --version` the version.\n"
        "\nExamples:\n"
        "  lastbyte recv                             print what arrives on port 1090\n"
        "  lastbyte send --text='hello, world!' :1090\n"
        "  lastbyte recv --once --sink=stdout | tar x\n"
        "  tar c DIR | lastbyte send HOST:1090\n",
        out);
}

int command_printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_OK;
    console_tell("standard output: %s", strerror(errno));
    return STATUS_FAILED;
}

int command_version(void)
{
    printf("lastbyte %s\n", lb_version());
    return command_printed();
}

int command_misused(const char *text)
{
    console_tell("%s", text);
    return STATUS_USAGE;
}

void command_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool output_closed;

bool command_output_closed(void)
{
    return output_closed;
}

/* A standard descriptor that was closed would be given to a connection or a file, and what is
 * printed would go there. Its place is taken by one that fails as the closed one would. */
static bool hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        output_closed |= fd == STDOUT_FILENO;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

static int unknown_command(const char *given)
{
    const char *names[COMMANDS + 1] = {NULL};

    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *guess = options_guess(given, names);
    if (given[0] == '-')
        console_tell("%s: options stand behind a command: lastbyte recv|send|probe [options]",
                     given);
    else if (guess)
        console_tell("%s: no such command; did you mean %s?", given, guess);
    else
        console_tell("%s: no such command; use recv, send or probe", given);
    return STATUS_USAGE;
}

int main(int argc, char **argv)
{
    if (!hold_standard_descriptors())
        return STATUS_NO_START;
    if (argc < 2) {
        print_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return command_printed();
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version();
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
