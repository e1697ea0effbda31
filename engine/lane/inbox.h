/* SPDX-License-Identifier: MIT */
/*
 * The inbox: what other threads hand a lane. A letter is a member of what it is about, so that
 * handing over allocates nothing and can't fail; it is the lane's from post until it is taken.
 */
#ifndef LB_INBOX_H
#define LB_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lb_letter_kind {
    LB_LETTER_COMMITTED, /* a member of a stream: its sink's end is done */
    LB_LETTER_ADOPTED,   /* a member of struct lb_adopted */
    LB_LETTER_WAKE,      /* a member of struct lb_call: its sink is to be called */
    LB_LETTER_END,       /* the same: it is to end */
    LB_LETTER_LIST,      /* a member of struct lb_listing */
};

struct lb_letter {
    struct lb_letter *next;
    enum lb_letter_kind kind;
};

/* What somebody else has read of a connection. Made with malloc. */
struct lb_first {
    size_t size, taken;
    uint8_t data[];
};

/* A connection that has come, and is not a stream yet. */
struct lb_arrival {
    int fd;
    int listener;           /* its index; -1: it came by none */
    uint64_t id;            /* its number, if it has one already; else 0 */
    struct lb_first *first; /* its bytes before those that it still holds; NULL: none */
};

/* One that was accepted elsewhere. Made with malloc; whoever takes it frees it. */
struct lb_adopted {
    struct lb_letter letter;
    struct lb_arrival arrival; /* the lane's from post on */
};

/* What is to be done with a stream. Made with malloc; whoever takes it frees it. */
struct lb_call {
    struct lb_letter letter;
    uint64_t id; /* of a stream, which may be another lane's, or have ended */
};

/* A lane is to tell of its streams. The asker's, who waits until all lanes are done. */
struct lb_listing {
    struct lb_letter letter;
    struct lb_list *list;
};

struct lb_inbox {
    pthread_mutex_t lock;
    struct lb_letter *first, *last;
    bool shut;   /* takes no more letters */
    int wake_fd; /* an eventfd: readable when the lane should look; -1: not open */
};

/* Returns 0 or -errno. */
int lb_inbox_open(struct lb_inbox *inbox);
void lb_inbox_close(struct lb_inbox *inbox);

/* From any thread. Returns false if the lane takes no more: the letter is still the caller's. */
bool lb_inbox_post(struct lb_inbox *inbox, struct lb_letter *letter);

/* From any thread, and from a signal handler: the lane looks at what changed. */
void lb_inbox_wake(const struct lb_inbox *inbox);

/* On the lane's thread: empties the wake descriptor, and takes all letters, in the order of posts.
 */
struct lb_letter *lb_inbox_take(struct lb_inbox *inbox);

/* The same; if there are none, it was the last time: no letter is taken any more. */
struct lb_letter *lb_inbox_shut(struct lb_inbox *inbox);

#endif
