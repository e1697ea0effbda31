/* SPDX-License-Identifier: MIT */
/* What only the suite with test filters has. */
#ifndef FILTERED_SUITE_H
#define FILTERED_SUITE_H

#include "suite.h"

extern const struct test_case preludes_cases[], filters_cases[], judged_cases[], edges_cases[];

enum { FILTERED_SIZE = 300001, FILTERED_HEARD = 1000 };

void filtered_begin(struct server *server, unsigned filters, size_t room);

/* What a peer sends, so that the payload of that tag comes out of the filters in use. trailer: the
 * judge's, 0 for none. The caller frees it. */
uint8_t *filtered_encode(struct server *server, uint64_t tag, size_t size, char trailer,
                         size_t *encoded);

/* Sends that of a payload of FILTERED_SIZE bytes, in writes of odd sizes. */
void filtered_send(struct server *server, int fd, uint64_t tag, char trailer);

/* All that is heard until the server's EOF. Closes. Returns its size. */
size_t filtered_hear(struct server *server, int fd, char heard[FILTERED_HEARD]);

/* The sink takes a little at a time. */
void filtered_use_sips(struct server *server);

#endif
