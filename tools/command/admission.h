/* SPDX-License-Identifier: MIT */
#ifndef ADMISSION_H
#define ADMISSION_H

#include "options.h"

#include <sys/types.h>

/* Who may come in, as options say it. Each returns 0, or -EINVAL after telling what is wrong. */

/* Networks: of --allow, --deny and --proxy-protocol; option is the option's name, and word what may
 * stand for a network, or NULL. */
int admission_check_networks(const char *option, const struct option_list *networks,
                             const char *word);

/* Users, by number or name. *uids is allocated: free() it. */
int admission_read_uids(const struct option_list *users, uid_t **uids);

#endif
