/* SPDX-License-Identifier: MIT */
#include "start.h"

#include "lone_receiver.h"
#include "suite_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "lastbyte-bench [options] [--benchmark_... of Google Benchmark]\n"
                            "What each way of receiving costs: every benchmark is one run of a "
                            "sender and a receiver.\n\n";

static bool is_google(const char *argument)
{
    return strncmp(argument, "--benchmark_", 12) == 0 || strncmp(argument, "--v=", 4) == 0;
}

/* Moves our arguments to ours, leaves the others. Both keep the program's name and end in NULL. */
static int split(char **ours, int *argc, char **argv)
{
    int mine = 1, theirs = 1;

    ours[0] = argv[0];
    for (int i = 1; i < *argc; i++) {
        if (is_google(argv[i]))
            argv[theirs++] = argv[i];
        else
            ours[mine++] = argv[i];
    }
    ours[mine] = NULL;
    argv[theirs] = NULL;
    *argc = theirs;
    return mine;
}

/* The options live as long as the suite, which is until the process ends. */
static struct options options;

int start(struct suite **suite, int *argc, char **argv)
{
    char **ours = calloc((size_t)*argc + 1, sizeof(*ours));
    int count, rc;

    if (!ours)
        return 1;
    count = split(ours, argc, argv);
    options_init(&options);
    rc = options_parse(&options, OPTIONS_BENCH, count, ours);
    free(ours);
    if (rc < 0)
        return 2;
    if (options.help) {
        fputs(usage, stdout);
        options_help(OPTIONS_BENCH);
        return 0;
    }
    if (options.receive)
        return lone_receiver_run(&options);
    if (suite_open(suite, &options) < 0)
        return 2;
    if (!options.list && !options.verify)
        return -1;
    rc = options.list ? suite_list(*suite) : suite_verify(*suite);
    suite_close(*suite);
    return rc;
}
