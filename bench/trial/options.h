/* SPDX-License-Identifier: MIT */
/* The command lines of the benchmark's two programs. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum options_program { OPTIONS_BENCH = 1 << 0, OPTIONS_LOAD = 1 << 1 };

/* Texts are borrowed from the command line. Zero and NULL: not given. */
struct options {
    const char *workloads, *contenders, *backends; /* lists, separated by commas */
    const char *control;
    const char *receive;
    const char *list;       /* "text" or "json" */
    const char *directory;  /* never NULL */
    const char *congestion; /* never NULL */
    const char *to;
    const char *sender, *server, *ask; /* HOST[:PORT]; server may be "" */
    const char *token_file;
    const char *latencies; /* a file for those of each sample, the last one's at the end */
    const char *address;   /* that receivers listen on; never NULL */
    const char *receiver_net, *sender_net; /* network namespaces, by their files; NULL: this one */
    uint64_t bytes, streams, rcvbuf, rate;
    uint64_t seconds_ms, retry_ms;
    uint64_t receiver_core, sender_core; /* always set */
    unsigned gather_max_us;              /* 0: not given; LB_NO_GATHER: none */
    bool quick, verify, no_syscalls, no_await, help;
};

/* Defaults, with nothing given. */
void options_init(struct options *options);

/* Reads the command line of program. Returns 0, or -1 after a line on standard error that names the
 * option, the value and what would be right. */
int options_parse(struct options *options, enum options_program program, int argc, char **argv);

/* What --help says, on standard output. */
void options_help(enum options_program program);

/* Is name in a list that is separated by commas? */
bool options_listed(const char *list, const char *name);

/* Copies the index-th of a list to name; returns false past the last, or if it does not fit. */
bool options_item(const char *list, size_t index, char *name, size_t size);

#endif
