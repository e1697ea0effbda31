/* SPDX-License-Identifier: MIT */
#include "admission.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>

static int parse_list(struct lb_cidr **networks, size_t *count, const char *const *texts,
                      struct lb_error *error)
{
    size_t total = 0;

    while (texts && texts[total])
        total++;
    if (total == 0)
        return 0;
    *networks = calloc(total, sizeof(**networks));
    if (!*networks)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (*count = 0; *count < total; ++*count) {
        int rc = lb_cidr_parse(&(*networks)[*count], texts[*count], error);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int lb_admission_init(struct lb_admission *admission, const struct lb_config *config,
                      unsigned capacity, struct lb_error *error)
{
    int rc;

    *admission =
        (struct lb_admission){.uids = config->allow_uids, .uid_count = config->allow_uid_count};
    rc = parse_list(&admission->allow, &admission->allow_count, config->allow, error);
    if (rc == 0)
        rc = parse_list(&admission->deny, &admission->deny_count, config->deny, error);
    if (rc == 0 && lb_crowd_init(&admission->crowd, config->max_streams_per_peer, capacity) < 0)
        rc = lb_error_set(error, -ENOMEM, "no memory to count the streams of %u peers", capacity);
    return rc;
}

void lb_admission_done(struct lb_admission *admission)
{
    free(admission->allow);
    free(admission->deny);
    lb_crowd_done(&admission->crowd);
}

static bool has_any(const struct lb_cidr *networks, size_t count, sa_family_t family,
                    const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++)
        if (lb_cidr_has(&networks[i], family, address))
            return true;
    return false;
}

static bool has_uid(const struct lb_admission *admission, int uid)
{
    for (size_t i = 0; i < admission->uid_count; i++)
        if (uid != -1 && admission->uids[i] == (uid_t)uid)
            return true;
    return false;
}

static const char *refusal(const struct lb_admission *admission, const union lb_peer *peer)
{
    uint8_t address[16];
    sa_family_t family;

    if (peer->family == AF_UNIX)
        return admission->uid_count > 0 && !has_uid(admission, peer->un.uid) ? "uid" : NULL;
    if (admission->allow_count == 0 && admission->deny_count == 0)
        return NULL;
    /* A peer that has reset already has no address any more, and no list can let it in. */
    family = lb_peer_address(peer, address);
    if (family == AF_UNSPEC || has_any(admission->deny, admission->deny_count, family, address))
        return "denied";
    if (admission->allow_count > 0 &&
        !has_any(admission->allow, admission->allow_count, family, address))
        return "denied";
    return NULL;
}

const char *lb_admission_enter(struct lb_admission *admission, const union lb_peer *peer)
{
    const char *why = refusal(admission, peer);

    if (!why && !lb_crowd_join(&admission->crowd, peer))
        why = "per-peer";
    return why;
}

void lb_admission_leave(struct lb_admission *admission, const union lb_peer *peer)
{
    lb_crowd_leave(&admission->crowd, peer);
}
