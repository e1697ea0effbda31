/* SPDX-License-Identifier: MIT */
#include "build_features.h"
#include "command.h"
#include "console.h"
#include "options.h"
#include "recv_settings.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const struct command commands[] = {
    {"recv", recv_command, recv_settings_help, recv_options,
     "receive streams and hand every byte to a sink"},
    {"send", send_command, send_help, send_options,
     "send files, standard input or a text, one stream each"},
#ifdef HAVE_TLS
    {"pin", pin_command, pin_help, pin_options, "print the pin of the key that send has for TLS"},
#endif
    {"probe", probe_command, probe_help, probe_options,
     "tell which backends and kernel features work here"},
    {"bench", bench_command, bench_help, bench_options,
     "measure what receiving costs here, and which backend and tune suit"},
    {"help", help_command, help_help, help_options,
     "explain a command, an option or a topic, e.g. lastbyte help sinks"},
    {.name = NULL},
};

static void print_usage(FILE *out)
{
    fputs("Usage: lastbyte COMMAND [options]\n\n"
          "Receives byte streams to the last byte.\n\nCommands:\n",
          out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-7s %s\n", command->name, command->help);
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

int command_print_json(json_t *object, size_t flags)
{
    bool failed = !object || json_dumpf(object, stdout, flags) < 0;

    json_decref(object);
    /* What is wrong with the output is told below. */
    if (failed && !ferror(stdout)) {
        console_tell("out of memory");
        return STATUS_FAILED;
    }
    putchar('\n');
    return command_printed();
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

int command_refuse_operand(const char *command, const char *operand)
{
    console_tell("%s: %s takes only options; --help lists them", operand, command);
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
    const char *names[sizeof(commands) / sizeof(commands[0])] = {NULL};
    char choice[80] = "";

    for (size_t i = 0; commands[i].name; i++) {
        size_t used = strlen(choice);

        names[i] = commands[i].name;
        snprintf(choice + used, sizeof(choice) - used, "%s%s", used ? "|" : "", names[i]);
    }
    const char *guess = options_guess(given, names);
    if (features_tell_command(given))
        return STATUS_USAGE;
    if (given[0] == '-')
        console_tell("%s: options stand behind a command: lastbyte %s [options]", given, choice);
    else if (guess)
        console_tell("%s: no such command; did you mean %s?", given, guess);
    else
        console_tell("%s: no such command; use %s", given, choice);
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
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(argv[1], command->name) == 0)
            return command->run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
