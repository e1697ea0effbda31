/* SPDX-License-Identifier: MIT */
/* The receiving host's side: has another host send. */
#ifndef FAR_SENDER_H
#define FAR_SENDER_H

#include "sender.h"

/* Has the trial's far sender (trial->far) send to address, and waits for the end. The report is as
 * if it had been sent from here. Returns 0, or -1 with the report's why. */
int far_sender_run(const struct trial *trial, struct sender_report *report, const char *address);

/* Prints as one JSON object what there is to know of a server before a run: version, clocks, the
 * address that this host has for it, and facts of both. Returns an exit status. */
int far_sender_ask(const char *server, const char *token_file);

#endif
