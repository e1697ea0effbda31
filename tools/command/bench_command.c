/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "console.h"
#include "options.h"
#include "quote.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What bench/run of the sources is called with: it reads the same options once more. */
struct bench_settings {
    const char *set, *workload, *contender, *output, *dir, *path, *softirq, *sender, *token_file,
        *reproduce;
    uint64_t pairs, minutes;
    bool quick, plan;
    bool help, version;
};

#define AT(member) OPTION_AT(struct bench_settings, member)

const struct option_row bench_options[] = {
    {OPTION_HEADING, .name = "Options"},
    {OPTION_FLAG, .name = "quick", AT(quick),
     .help = "small sizes, few contenders, 3 pairs: under 2 minutes"},
    {OPTION_WORD, .name = "set", .argument = "full|targets|factorial|map", AT(set),
     .help = "what a question needs (default full)"},
    {OPTION_TEXT, .name = "workload", .argument = "NAME[,NAME]", AT(workload),
     .help = "only these"},
    {OPTION_TEXT, .name = "contender", .argument = "NAME[,NAME]", AT(contender),
     .help = "only these; patterns with * and ? too"},
    {OPTION_COUNT, .name = "pairs", .argument = "N", AT(pairs), .least = 1, .most = 9999,
     .help = "samples of each contender (default 15, --quick 3)"},
    {OPTION_COUNT, .name = "minutes", .argument = "N", AT(minutes), .least = 1, .most = 9999,
     .help = "begin no round that would end later (default 19, --quick 2)"},
    {OPTION_WORD, .name = "path", .argument = "loopback|veth|veth-nic", AT(path),
     .help = "between sender and receiver; the last two as root"},
    {OPTION_WORD, .name = "softirq", .argument = "sender|receiver|own", AT(softirq),
     .help = "with --path=veth: whose core receives packets for the kernel"},
    {OPTION_TEXT, .name = "sender", .argument = "HOST[:PORT]", AT(sender),
     .help = "have lastbyte-load --server send, which runs on another host"},
    {OPTION_TEXT, .name = "token-file", .argument = "FILE", AT(token_file),
     .help = "what both hosts know (default $LASTBYTE_BENCH_TOKEN)"},
    {OPTION_TEXT, .name = "reproduce", .argument = "FILE", AT(reproduce),
     .help = "run the plan of this result again, and compare claim by claim"},
    {OPTION_TEXT, .name = "output", .argument = "DIR", AT(output),
     .help = "where the result goes (default: here)"},
    {OPTION_TEXT, .name = "dir", .argument = "DIR", AT(dir),
     .help = "where file and dir write (default $TMPDIR or /var/tmp)"},
    {OPTION_FLAG, .name = "plan", AT(plan), .help = "tell what would be run, and how long"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

int bench_help(void)
{
    puts("Usage: lastbyte bench [--quick] [options]\n\n"
         "Measures what each way of receiving costs on this machine, and tells which backend and\n"
         "which --tune suit it. Two cores are needed, and a machine that does nothing else.");
    options_help(bench_options, stdout);
    return command_printed();
}

/* The folder that this program is in. Returns 0 or -errno. */
static int own_folder(char folder[PATH_MAX])
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (size < 0)
        return -errno;
    program[size] = '\0';
    strcpy(folder, dirname(program));
    return 0;
}

/* The benchmarks' script, where the installation has put it: BENCH_HOME, from the folder of this
 * program unless it is absolute. Returns whether it fits. */
static bool script_path(char script[PATH_MAX], const char *folder)
{
    int size = BENCH_HOME[0] == '/' ? snprintf(script, PATH_MAX, "%s/run", BENCH_HOME)
                                    : snprintf(script, PATH_MAX, "%s/%s/run", folder, BENCH_HOME);

    return size < PATH_MAX;
}

/* Becomes the script, with the same options. Returns what to exit with if that fails. */
static int become(const char *script, const char *folder, int argc, char **argv)
{
    char build[PATH_MAX + sizeof("--build=")], name[LB_QUOTE_SIZE];
    char **words = calloc((size_t)argc + 2, sizeof(*words));

    if (!words) {
        console_tell("out of memory");
        return STATUS_FAILED;
    }
    snprintf(build, sizeof(build), "--build=%s", folder);
    words[0] = argv[0];
    words[1] = build;
    memcpy(words + 2, argv + 1, ((size_t)argc - 1) * sizeof(*words));
    execv(script, words);
    if (errno == ENOENT && access(script, F_OK) == 0)
        console_tell("%s: can't be run: it needs python3, as /usr/bin/python3",
                     lb_quote_name(script, name));
    else if (errno == ENOENT)
        console_tell("%s: no such file: the benchmarks are not installed beside this command "
                     "(package lastbyte-bench; among the sources: bench/run)",
                     lb_quote_name(script, name));
    else
        console_tell("%s: %s", lb_quote_name(script, name), strerror(errno));
    free(words);
    return STATUS_NO_START;
}

int bench_command(int argc, char **argv)
{
    struct bench_settings settings = {0};
    char folder[PATH_MAX], script[PATH_MAX];
    int operand = options_read(bench_options, argc, argv, &settings), error;

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.help)
        return bench_help();
    if (settings.version)
        return command_version();
    if (operand < argc)
        return command_refuse_operand("bench", argv[operand]);
    error = own_folder(folder);
    if (error || !script_path(script, folder)) {
        console_tell("/proc/self/exe: %s", strerror(error ? -error : ENAMETOOLONG));
        return STATUS_NO_START;
    }
    return become(script, folder, argc, argv);
}
