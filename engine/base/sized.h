/* SPDX-License-Identifier: MIT */
/* Public structs begin with their size, as lastbyte.h says: what a program has of one may be
 * shorter than what we know, if the program is older, or longer. */
#ifndef LB_SIZED_H
#define LB_SIZED_H

#include "error.h"

/* The size of a struct's first layout, which ended with that member. It never changes. */
#define LB_FIRST_LAYOUT(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

/* More than any struct has that a program hands in: a size beyond is one that nobody has set. */
enum { LB_SIZED_MAX = 4096 };

/* What is known of a struct here. */
struct lb_layout {
    const char *name;
    size_t first; /* LB_FIRST_LAYOUT */
    size_t known; /* sizeof */
};

/* Takes what a program hands in: ours, which holds the defaults, gets what theirs has. Returns 0,
 * -EINVAL or -E2BIG. */
int lb_sized_take(const struct lb_layout *layout, void *ours, const void *theirs,
                  struct lb_error *error);

/* Fills a program's struct from ours, whose size is set. Returns 0 or -EINVAL. */
int lb_sized_give(const struct lb_layout *layout, void *theirs, const void *ours);

/* The same for a description, which is given in two rooms. Returns whether it was. */
bool lb_description_give(struct lb_description *theirs, const struct lb_description *ours);

#endif
