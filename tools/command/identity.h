/* SPDX-License-Identifier: MIT */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <linux/limits.h>

/* A key of our own (P-256) with a certificate that it has signed itself, for TLS without anybody's
 * authority: made once, and kept in one PEM file of the state directory. */

/* Finds the file of that name ("recv.pem", "send.pem"), or makes it, directory and all. directory:
 * from --tls-dir, or NULL: $STATE_DIRECTORY, else lastbyte in $XDG_STATE_HOME, else
 * ~/.local/state/lastbyte. Of several that come at once all find the same. Returns an exit status
 * after telling what is wrong. */
int identity_find(char path[PATH_MAX], const char *directory, const char *name);

#endif
