/* SPDX-License-Identifier: MIT */
/* What a worker does with the letters that come to its lane. */
#ifndef LB_LETTERS_H
#define LB_LETTERS_H

#include "entrance.h"

/* What lb_engine_streams collects of all lanes. */
struct lb_list {
    pthread_mutex_t lock;
    pthread_cond_t told;
    unsigned awaited; /* lanes that have not told yet */
    uint8_t *infos;   /* of struct lb_stream_info, as the program was compiled */
    size_t each;      /* bytes of one */
    size_t room, count;
};

/* Adds a lane's streams, on its thread or where it has none. */
void lb_list_add(struct lb_list *list, const struct lb_stream_table *streams);

/* Does what they say, in order, and frees those that are the lane's. */
void lb_letters_open(struct lb_entrance *entrance, struct lb_letter *letters);

/* The lane takes no letters any more, and does nothing that the last ones say. No stream is left.
 */
void lb_letters_drop(struct lb_inbox *inbox);

#endif
