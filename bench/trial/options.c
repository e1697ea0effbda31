/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "core.h"
#include "value.h"

#include <getopt.h>
#include <lastbyte/lastbyte.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, FORM, ADDRESS, SIZE, COUNT, SECONDS, GATHER };

enum { BOTH = OPTIONS_BENCH | OPTIONS_LOAD, ROWS_MAX = 48 };

struct row {
    const char *name;
    enum kind kind;
    unsigned programs;
    size_t offset; /* in struct options */
    const char *shape, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
    {"workload", TEXT, BOTH, AT(workloads), "NAME[,NAME]", "what is sent"},
    {"contender", TEXT, OPTIONS_BENCH, AT(contenders), "NAME[,NAME]", "who receives"},
    {"backend", TEXT, OPTIONS_BENCH, AT(backends), "NAME[,NAME]", "lastbyte with this backend"},
    {"control", TEXT, OPTIONS_BENCH, AT(control), "NAME", "run this contender a second time (A/A)"},
    {"list", FORM, OPTIONS_BENCH, AT(list), "text|json", "say what there is"},
    {"verify", FLAG, OPTIONS_BENCH, AT(verify), NULL, "compare all content, measure nothing"},
    {"receive", TEXT, OPTIONS_BENCH, AT(receive), "NAME", "only receive, in this process"},
    {"no-syscalls", FLAG, OPTIONS_BENCH, AT(no_syscalls), NULL, "don't count system calls"},
    {"dir", TEXT, OPTIONS_BENCH, AT(directory), "PATH", "where files are written (TMPDIR)"},
    {"latencies", TEXT, OPTIONS_BENCH, AT(latencies), "FILE", "latency: write the last sample's"},
    {"rcvbuf", SIZE, OPTIONS_BENCH, AT(rcvbuf), "SIZE", "SO_RCVBUF (the kernel's own tuning)"},
    {"gather-max", GATHER, OPTIONS_BENCH, AT(gather_max_us), "MS",
     "of all of lastbyte (its default)"},
    {"address", TEXT, OPTIONS_BENCH, AT(address), "IPV4", "where receivers listen (127.0.0.1)"},
    {"receiver-net", TEXT, OPTIONS_BENCH, AT(receiver_net), "FILE",
     "the receiver's network namespace (this one)"},
    {"sender-net", TEXT, OPTIONS_BENCH, AT(sender_net), "FILE", "the sender's (this one)"},
    {"receiver-core", COUNT, BOTH, AT(receiver_core), "N", "the second that is usable"},
    {"sender-core", COUNT, OPTIONS_BENCH, AT(sender_core), "N", "the first that is usable"},
    {"sender", TEXT, OPTIONS_BENCH, AT(sender), "HOST[:PORT]", "have lastbyte-load --server send"},
    {"to", TEXT, OPTIONS_LOAD, AT(to), "HOST:PORT", "who receives"},
    {"server", ADDRESS, OPTIONS_LOAD, AT(server), "ADDR", "send what --sender asks for"},
    {"ask", TEXT, OPTIONS_LOAD, AT(ask), "HOST[:PORT]", "what a server there says of its host"},
    {"token-file", TEXT, BOTH, AT(token_file), "FILE",
     "what both hosts know (LASTBYTE_BENCH_TOKEN)"},
    {"core", COUNT, OPTIONS_LOAD, AT(sender_core), "N", "the first that is usable"},
    {"rate", COUNT, BOTH, AT(rate), "N", "latency: messages a second (1000)"},
    {"retry", SECONDS, OPTIONS_LOAD, AT(retry_ms), "SECONDS", "until somebody listens (5)"},
    {"no-await", FLAG, OPTIONS_LOAD, AT(no_await), NULL, "don't wait for the peer's close"},
    {"bytes", SIZE, BOTH, AT(bytes), "SIZE", "of all streams together"},
    {"streams", COUNT, BOTH, AT(streams), "N", "short, dir, idle, stalled, tls-short: how many"},
    {"seconds", SECONDS, BOTH, AT(seconds_ms), "SECONDS", "latency, idle: how long"},
    {"congestion", TEXT, BOTH, AT(congestion), "NAME", "control of the sender's streams (cubic)"},
    {"quick", FLAG, BOTH, AT(quick), NULL, "an eighth of everything"},
    {"help", FLAG, BOTH, AT(help), NULL, "this text"},
    {NULL, FLAG, 0, 0, NULL, NULL},
};

void options_init(struct options *options)
{
    const char *temporary = getenv("TMPDIR");

    *options = (struct options){
        .directory = temporary && temporary[0] ? temporary : "/tmp",
        .congestion = "cubic",
        .address = "127.0.0.1",
        .retry_ms = 5000,
        .receiver_core = (uint64_t)core_usable(1),
        .sender_core = (uint64_t)core_usable(0),
    };
}

/* Its value may be left out. */
static bool is_optional(const struct row *row)
{
    return row->kind == FORM || row->kind == ADDRESS;
}

static int refuse(const struct row *row, const char *value, const char *right)
{
    fprintf(stderr, "--%s=%s: %s\n", row->name, value, right);
    return -1;
}

/* Milliseconds, as lastbyte's own option means them; stored in microseconds. */
static int store_gather(unsigned *gather_max_us, const struct row *row, const char *value)
{
    char *end;
    double ms = strtod(value, &end);

    if (end == value || *end || !(ms >= 0 && ms <= 1000))
        return refuse(row, value, "milliseconds are needed, 0 to 1000, like 0.5; 0 turns it off");
    *gather_max_us = ms * 1000 < 1 ? LB_NO_GATHER : (unsigned)(ms * 1000);
    return 0;
}

static int store(struct options *options, const struct row *row, const char *value)
{
    void *place = (char *)options + row->offset;

    switch (row->kind) {
    case FLAG:
        *(bool *)place = true;
        return 0;
    case TEXT:
        if (!value[0])
            return refuse(row, value, "a value is needed");
        *(const char **)place = value;
        return 0;
    case FORM:
        *(const char **)place = value ? value : "text";
        return 0;
    case ADDRESS:
        *(const char **)place = value ? value : "";
        return 0;
    case SIZE:
        return value_size(value, place) == 0
                   ? 0
                   : refuse(row, value, "a number of bytes is needed, like 65536, 64K, 1M or 2G");
    case COUNT:
        return value_count(value, place) == 0 ? 0 : refuse(row, value, "a number is needed");
    case SECONDS:
        return value_seconds(value, place) == 0
                   ? 0
                   : refuse(row, value, "seconds are needed, like 2.5");
    case GATHER:
        return store_gather(place, row, value);
    }
    return 0;
}

static int check(const struct options *options, enum options_program program)
{
    static const uint64_t streams_max = 1000000, rate_max = 10000000, core_max = 1023;

    if (options->list && strcmp(options->list, "text") != 0 && strcmp(options->list, "json") != 0)
        fprintf(stderr, "--list=%s: use text or json\n", options->list);
    else if (options->streams > streams_max)
        fprintf(stderr, "--streams=%lu: at most 1000000\n", (unsigned long)options->streams);
    else if (options->rate > rate_max)
        fprintf(stderr, "--rate=%lu: at most 10000000\n", (unsigned long)options->rate);
    else if (options->rcvbuf > INT32_MAX)
        fprintf(stderr, "--rcvbuf=%lu: at most 2147483647\n", (unsigned long)options->rcvbuf);
    else if (options->receiver_core > core_max || options->sender_core > core_max)
        fprintf(stderr, "a core is a number below 1024\n");
    else if (!core_is_usable((int)options->receiver_core))
        fprintf(stderr, "--receiver-core=%lu: this process can't use that core\n",
                (unsigned long)options->receiver_core);
    else if (!core_is_usable((int)options->sender_core))
        fprintf(stderr, "--%s=%lu: this process can't use that core\n",
                program == OPTIONS_LOAD ? "core" : "sender-core",
                (unsigned long)options->sender_core);
    else if (program == OPTIONS_BENCH && options->rate > 0 && !options->receive)
        fprintf(stderr,
                "--rate=%lu: goes with --receive; --benchmark_filter=latency/.*/1000 "
                "chooses one of the rates\n",
                (unsigned long)options->rate);
    else
        return 0;
    return -1;
}

int options_parse(struct options *options, enum options_program program, int argc, char **argv)
{
    struct option table[ROWS_MAX] = {{0}};
    const struct row *chosen[ROWS_MAX];
    int count = 0, index, found;

    for (const struct row *row = rows; row->name; row++) {
        if (!(row->programs & program))
            continue;
        table[count].name = row->name;
        table[count].has_arg = row->kind == FLAG  ? no_argument
                               : is_optional(row) ? optional_argument
                                                  : required_argument;
        chosen[count++] = row;
    }
    optind = 0; /* getopt(3): scan from the beginning, as often as asked */
    opterr = 0;
    while ((found = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (found != 0) {
            fprintf(stderr, "%s: not an option, or without its value; see --help\n",
                    argv[optind - 1]);
            return -1;
        }
        if (store(options, chosen[index], optarg) < 0)
            return -1;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: not an option; see --help\n", argv[optind]);
        return -1;
    }
    return check(options, program);
}

void options_help(enum options_program program)
{
    for (const struct row *row = rows; row->name; row++) {
        char option[64];

        if (!(row->programs & program))
            continue;
        if (is_optional(row))
            snprintf(option, sizeof(option), "--%s[=%s]", row->name, row->shape);
        else
            snprintf(option, sizeof(option), "--%s%s%s", row->name, row->shape ? "=" : "",
                     row->shape ? row->shape : "");
        printf("  %-26s %s\n", option, row->help);
    }
}

bool options_item(const char *list, size_t index, char *name, size_t size)
{
    const char *end = strchrnul(list, ',');

    for (; index > 0; index--) {
        if (!*end)
            return false;
        list = end + 1;
        end = strchrnul(list, ',');
    }
    if ((size_t)(end - list) >= size)
        return false;
    memcpy(name, list, (size_t)(end - list));
    name[end - list] = '\0';
    return true;
}

bool options_listed(const char *list, const char *name)
{
    char item[64];

    for (size_t i = 0; options_item(list, i, item, sizeof(item)); i++)
        if (strcmp(item, name) == 0)
            return true;
    return false;
}
