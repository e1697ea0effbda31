/* SPDX-License-Identifier: MIT */
#ifndef SYSTEMD_SOCKETS_H
#define SYSTEMD_SOCKETS_H

#include "options.h"

/*
 * Listening sockets that whoever started us has opened, by the convention of systemd
 * (sd_listen_fds(3)): LISTEN_FDS of them from descriptor 3 on, if LISTEN_PID is this process, with
 * names in LISTEN_FDNAMES.
 */

/* Replaces each address systemd[:NAME] in list by those sockets, as fd:N, and an empty list by all
 * of them. They are close-on-exec then, and the variables are gone, so that no program that is
 * started takes them for its own. Returns an exit status after telling what is wrong. */
int systemd_sockets_take(struct option_list *list);

#endif
