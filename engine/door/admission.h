/* SPDX-License-Identifier: MIT */
/* Admission: who may come in. Looked at once each, when a peer was accepted and when it is known
 * who it is; what is turned away never reaches a sink. */
#ifndef LB_ADMISSION_H
#define LB_ADMISSION_H

#include "cidr.h"
#include "crowd.h"

struct lb_admission {
    struct lb_cidr_list allow, deny;
    const uid_t *uids;
    size_t uid_count;
    struct lb_crowd crowd;
};

/* capacity: how many peers there can be at a time. The lists in config are borrowed. Returns 0, or
 * -EINVAL or -ENOMEM with the cause in error. */
int lb_admission_init(struct lb_admission *admission, const struct lb_config *config,
                      unsigned capacity, struct lb_error *error);
void lb_admission_done(struct lb_admission *admission);

/* Returns NULL if peer, as the kernel has it, may use the socket at all, or else why not: "uid".
 * What it says of itself later doesn't matter for that. */
const char *lb_admission_meet(const struct lb_admission *admission, const union lb_peer *peer);

/* Returns NULL if peer may come in, who may be whom it says that it is: it is then counted until
 * lb_admission_leave. Otherwise why not, a static string: "denied" or "per-peer". */
const char *lb_admission_enter(struct lb_admission *admission, const union lb_peer *peer);
void lb_admission_leave(struct lb_admission *admission, const union lb_peer *peer);

#endif
