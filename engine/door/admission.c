/* SPDX-License-Identifier: MIT */
#include "admission.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>

static int read_list(struct lb_cidr_list *networks, const char *const *texts,
                     struct lb_error *error)
{
    int rc = 0;

    for (; rc == 0 && texts && *texts; texts++)
        rc = lb_cidr_list_add(networks, *texts, error);
    return rc;
}

int lb_admission_init(struct lb_admission *admission, const struct lb_config *config,
                      unsigned capacity, struct lb_error *error)
{
    int rc;

    *admission =
        (struct lb_admission){.uids = config->allow_uids, .uid_count = config->allow_uid_count};
    rc = read_list(&admission->allow, config->allow, error);
    if (rc == 0)
        rc = read_list(&admission->deny, config->deny, error);
    if (rc == 0 && lb_crowd_init(&admission->crowd, config->max_streams_per_peer, capacity) < 0)
        rc = lb_error_set(error, -ENOMEM, "no memory to count the streams of %u peers", capacity);
    return rc;
}

void lb_admission_done(struct lb_admission *admission)
{
    lb_cidr_list_done(&admission->allow);
    lb_cidr_list_done(&admission->deny);
    lb_crowd_done(&admission->crowd);
}

static bool has_uid(const struct lb_admission *admission, int uid)
{
    for (size_t i = 0; i < admission->uid_count; i++)
        if (uid != -1 && admission->uids[i] == (uid_t)uid)
            return true;
    return false;
}

const char *lb_admission_meet(const struct lb_admission *admission, const union lb_peer *peer)
{
    if (peer->family != AF_UNIX || admission->uid_count == 0 || has_uid(admission, peer->un.uid))
        return NULL;
    return "uid";
}

static bool is_denied(const struct lb_admission *admission, const union lb_peer *peer)
{
    uint8_t address[16];
    sa_family_t family;

    if (peer->family == AF_UNIX || (admission->allow.count == 0 && admission->deny.count == 0))
        return false;
    /* A peer that has reset already has no address any more, and no list can let it in. */
    family = lb_peer_address(peer, address);
    if (family == AF_UNSPEC || lb_cidr_list_has(&admission->deny, family, address))
        return true;
    return admission->allow.count > 0 && !lb_cidr_list_has(&admission->allow, family, address);
}

const char *lb_admission_enter(struct lb_admission *admission, const union lb_peer *peer)
{
    if (is_denied(admission, peer))
        return "denied";
    return lb_crowd_join(&admission->crowd, peer) ? NULL : "per-peer";
}

void lb_admission_leave(struct lb_admission *admission, const union lb_peer *peer)
{
    lb_crowd_leave(&admission->crowd, peer);
}
