/* SPDX-License-Identifier: MIT */
/* Admission: who may come in. Looked at once, when a peer was accepted; what is turned away never
 * reaches a sink. */
#ifndef LB_ADMISSION_H
#define LB_ADMISSION_H

#include "cidr.h"
#include "crowd.h"

struct lb_admission {
    struct lb_cidr *allow, *deny;
    size_t allow_count, deny_count;
    const uid_t *uids;
    size_t uid_count;
    struct lb_crowd crowd;
};

/* capacity: how many peers there can be at a time. The lists in config are borrowed. Returns 0, or
 * -EINVAL or -ENOMEM with the cause in error. */
int lb_admission_init(struct lb_admission *admission, const struct lb_config *config,
                      unsigned capacity, struct lb_error *error);
void lb_admission_done(struct lb_admission *admission);

/* Returns NULL if peer may come in: it is then counted until lb_admission_leave. Otherwise why not,
 * a static string: "denied", "uid" or "per-peer". */
const char *lb_admission_enter(struct lb_admission *admission, const union lb_peer *peer);
void lb_admission_leave(struct lb_admission *admission, const union lb_peer *peer);

#endif
