/* SPDX-License-Identifier: MIT */
/* One thread that speaks HTTP with a store, for all streams: requests, each tried again until it
 * has an answer that counts, or its time is over. */
#ifndef S3_LOOP_H
#define S3_LOOP_H

#include "credentials.h"
#include "endpoint.h"
#include "sigv4.h"

#include <lastbyte/lastbyte.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct s3_loop;

enum { S3_ETAG_SIZE = 80 };

/* What came of a request. */
struct s3_outcome {
    int status;       /* of HTTP; 0: no answer */
    const char *lost; /* why there is none: a static string */
    char code[64];    /* of an error, as the store calls it; or empty */
    char text[200];   /* what it says of it */
    char etag[S3_ETAG_SIZE];
    uint64_t size;        /* of the object, as a HEAD tells */
    long long ahead;      /* seconds that the store's clock is ahead of ours */
    bool ever_unanswered; /* an attempt had no answer, so that nobody knows what it has done */
    unsigned attempts;
};

/* One request at a time, in its owner's memory. All zero at first. */
struct s3_request {
    /* What its owner sets, valid until it is done. */
    const char *method;
    const char *key;   /* in the bucket, of characters that need no encoding; NULL: none */
    const char *query; /* encoded and in order; NULL: none */
    const struct iovec *body;
    unsigned body_count;
    uint64_t body_size;
    bool is_part;                 /* of several, of which its stream may have many under way */
    char payload[SIGV4_HEX_SIZE]; /* the body's hash, or SIGV4_UNSIGNED */
    uint64_t until_ns;            /* of the loop's clock: no attempt goes on for longer */
    void (*done)(struct s3_request *request); /* on the loop's thread; the request is its owner's */
    void *owner;

    /* Until the next one. */
    struct s3_outcome outcome;
    char *answer; /* freed by the loop after done */
    size_t answer_size;

    /* The loop's. */
    struct s3_transfer *transfer; /* the attempt that is under way */
    enum { S3_IDLE, S3_WAITING, S3_UNDER_WAY } state;
    struct s3_request *next;
    uint64_t not_before_ns;
    uint64_t begun_ns; /* the attempt */
};

/* What is to run on the loop's thread. */
struct s3_task {
    void (*run)(struct s3_task *task);
    struct s3_task *next;
};

/* Borrows endpoint and credentials. Until s3_loop_start the caller's thread is the loop's. */
int s3_loop_open(struct s3_loop **loop, const struct s3_endpoint *endpoint,
                 const struct s3_credentials *credentials, struct lb_error *error);
int s3_loop_start(struct s3_loop *loop);

/* Ends the thread, if there is one: the caller's is the loop's again. Tasks that were posted have
 * run. */
void s3_loop_stop(struct s3_loop *loop);

/* Stopped, or never started, and without requests. */
void s3_loop_close(struct s3_loop *loop);

/* From any thread. The task runs once. */
void s3_loop_post(struct s3_loop *loop, struct s3_task *task);

/* The rest from the loop's thread. */
void s3_loop_ask(struct s3_loop *loop, struct s3_request *request);

/* The same without a body, whose members it sets itself. */
void s3_loop_ask_bare(struct s3_loop *loop, struct s3_request *request, const char *method,
                      const char *query);

/* It was asked, and is not done yet. */
bool s3_loop_has(const struct s3_request *request);

/* Takes it back, without done; at any time. */
void s3_loop_cancel(struct s3_loop *loop, struct s3_request *request);

/* Before the start: does what there is until *done is set. */
void s3_loop_run(struct s3_loop *loop, const bool *done);

/* How long attempts took. From any thread. */
void s3_loop_timing(const struct s3_loop *loop, struct lb_timing *timing);

uint64_t s3_loop_clock_ns(void);

#endif
