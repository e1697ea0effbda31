/* SPDX-License-Identifier: MIT */
/* A trial, decided and not yet made: what is sent, how much, from which core, and to whom. */
#ifndef TRIAL_H
#define TRIAL_H

#include "contender.h"
#include "workload.h"

struct options;
struct schedule;

/* Whose core. */
enum side { RECEIVING, SENDING };

struct trial {
    const struct workload *workload;
    const struct contender *contender; /* NULL: a program outside */
    uint64_t stream_bytes;             /* of each stream */
    size_t write_size;
    unsigned streams;
    unsigned at_once;
    double seconds;
    unsigned rate;
    size_t slot_size; /* 0: the contender's default */
    unsigned slots;
    unsigned gather_max_us; /* 0: the contender's; LB_NO_GATHER: none */
    size_t rcvbuf;          /* 0: the kernel's own tuning */
    const char *congestion;
    const char *address;                   /* that the receiver listens on */
    const char *receiver_net, *sender_net; /* files of network namespaces; NULL: this one */
    const char *far, *token_file; /* the host that sends, and the file with the token; or NULL */
    int cores[2];                 /* of enum side; negative: any */
    const char *directory;        /* where it may write */
    unsigned timeout_s;           /* after this it has failed */
    bool verify;                  /* compare content; time is no matter */
    bool count_syscalls;          /* likewise */
    /* Shared by the processes, or NULL: where ours records its gathering, or that a floor follows.
     */
    struct schedule *schedule;
};

/* Sizes come from the workload and the options. param may be NULL. */
void trial_make(struct trial *trial, const struct workload *workload, const struct param *param,
                const struct options *options);

/* The same trial with about 1/divisor of the work. */
void trial_shrink(struct trial *trial, unsigned divisor);

/* For socket(2), of both ends. */
int trial_protocol(const struct trial *trial);

/* Payload of all streams together. */
static inline uint64_t trial_bytes(const struct trial *trial)
{
    return trial->stream_bytes * trial->streams;
}

#endif
