/* SPDX-License-Identifier: MIT */
/* What a figure depends on besides the code, of this host, for who makes a stamp of it: files as
 * they are, and what only system calls tell. */
#ifndef FACTS_H
#define FACTS_H

#include "interface.h"

#include <jansson.h>

/* {"files": {path: text}, "links": {path: where it leads}, "device": name, "mtu": bytes,
 * "offloads": {name: whether it is on}, "cores": N, "kernel": release, "architecture": name}; NULL
 * when out of memory. */
json_t *facts_gather(const struct interface *interface);

#endif
