/* SPDX-License-Identifier: MIT */
/* What is sent: how many streams, how much in each, in what writes and at what times. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figures;
struct trial;
struct sample;
struct sender;

/* What a workload asks of a receiver. */
enum demand {
    DEMAND_ONE = 1 << 0,     /* one stream */
    DEMAND_TURNS = 1 << 1,   /* many streams; one after another will do */
    DEMAND_64 = 1 << 2,      /* 64 streams at once */
    DEMAND_ANY = 1 << 3,     /* any number of streams at once */
    DEMAND_CONTENT = 1 << 4, /* looks at what arrives, while it arrives */
    DEMAND_FILES = 1 << 5,   /* writes what arrives to a file for each stream */
    DEMAND_POOL = 1 << 6,    /* takes the size and the number of its slots */
    DEMAND_IDLE = 1 << 7,    /* keeps quiet about streams that send nothing */
    DEMAND_TLS = 1 << 8,     /* deciphers it */
    DEMAND_STALL = 1 << 9    /* takes nothing until it is told to */
};

/* What makes one trial of a workload longer. */
enum extent { BY_BYTES, BY_STREAMS, BY_SECONDS };

/* One variant of a workload. */
struct param {
    const char *name;
    unsigned rate;    /* messages a second */
    size_t slot_size; /* 0: the contender's default */
    unsigned slots;   /* 0: the contender's default */

    /* 0: the workload's */
    unsigned streams;
    size_t write_size;
    uint64_t bytes;
};

struct workload {
    const char *name;
    const char *what;
    const char *const *figures; /* those that say most, the first of all; ends with NULL */
    unsigned demands;
    enum extent extent;
    uint64_t bytes; /* BY_BYTES: of all streams; BY_STREAMS: of each */
    unsigned streams;
    unsigned at_once; /* of the streams; 0: all */
    double seconds;   /* BY_SECONDS */
    size_t write_size;
    bool only_by_name;          /* too long to be part of "everything" */
    const struct param *params; /* ends with a NULL name; NULL: one variant without a name */

    /* Sends all of it and waits for the peer's closes. Returns 0, or -1 with the sender's why. */
    int (*send)(const struct trial *trial, struct sender *sender);

    /* Looks on from outside, with sender and receiver under way. Returns 0, or -1 with the sample's
     * why. May be NULL. */
    int (*observe)(const struct trial *trial, struct sample *sample);

    /* Adds what this workload alone has to tell; NULL: nothing. */
    void (*tell)(const struct trial *trial, const struct sample *sample, struct figures *figures);
};

#endif
