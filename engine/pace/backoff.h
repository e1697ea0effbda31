/* SPDX-License-Identifier: MIT */
/* Something was tried in vain, and isn't tried again for some windows: twice as many each time. */
#ifndef LB_BACKOFF_H
#define LB_BACKOFF_H

#include <stdbool.h>

struct lb_backoff {
    unsigned left; /* windows to go */
    unsigned next; /* how many, should it be vain again */
};

static inline void lb_backoff_begin(struct lb_backoff *backoff, unsigned most)
{
    backoff->left = backoff->next;
    if (backoff->next < most)
        backoff->next *= 2;
}

/* A window has passed. Returns whether it was held. */
static inline bool lb_backoff_pass(struct lb_backoff *backoff)
{
    if (backoff->left == 0)
        return false;
    backoff->left--;
    return true;
}

#endif
