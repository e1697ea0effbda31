/* SPDX-License-Identifier: MIT */
/* proxy: a front says before the stream whose connection it passes on, by the PROXY protocol. Bytes
 * pass untouched. */
#include "cidr.h"
#include "filter.h"
#include "proxy_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Who the fronts are. */
struct proxy_settings {
    struct lb_cidr_list networks;
    bool of_unix; /* the peers of Unix sockets */
};

/* Most headers come whole: nothing is kept for those, and nothing for peers that have none. */
struct proxy_state {
    struct lb_proxy_header *part; /* what has come of it, or NULL */
};

static void proxy_release(const void *settings)
{
    struct proxy_settings *own = (struct proxy_settings *)(uintptr_t)settings;

    lb_cidr_list_done(&own->networks);
    free(own);
}

static int proxy_settle(const struct lb_config *config, const void **settings,
                        struct lb_error *error)
{
    const char *const *front = config->proxy_protocol;
    struct proxy_settings *own;
    int rc = 0;

    if (!front || !*front)
        return 0;
    own = calloc(1, sizeof(*own));
    if (!own)
        return lb_error_set(error, -ENOMEM, "out of memory");
    for (; rc == 0 && *front; front++) {
        if (strcmp(*front, "unix") == 0)
            own->of_unix = true;
        else
            rc = lb_cidr_list_add(&own->networks, *front, error);
    }
    if (rc < 0)
        proxy_release(own);
    else
        *settings = own;
    return rc;
}

static bool proxy_expects(const void *settings, const union lb_peer *peer)
{
    const struct proxy_settings *own = settings;
    uint8_t address[16];
    sa_family_t family;

    if (peer->family == AF_UNIX)
        return own->of_unix;
    family = lb_peer_address(peer, address);
    /* Who has reset already has no address any more, and may be a front whose bytes are there. */
    if (family == AF_UNSPEC)
        return own->networks.count > 0;
    return lb_cidr_list_has(&own->networks, family, address);
}

/* The connection has ended. Without a byte it was a health check, or nobody. */
static int left(const struct lb_proxy_header *header, const char **why)
{
    if (header->size == 0)
        return -ENODATA;
    *why = "cut off";
    return -ECONNRESET;
}

/* Looks at what is there, and receives what is the header's. */
static int receive(const struct lb_stage *stage, struct lb_proxy_header *header, const char **why)
{
    uint8_t seen[512];
    ssize_t got = lb_stage_receive(stage, seen, sizeof(seen), MSG_PEEK), used;

    if (got < 0 && got != -ECONNRESET)
        return (int)got;
    if (got <= 0)
        return left(header, why);
    used = lb_proxy_header_take(header, seen, (size_t)got, why);
    if (used < 0)
        return (int)used;
    return lb_stage_receive(stage, seen, (size_t)used, 0) == used ? 0 : -EIO;
}

/* A front that comes for nobody else may have connected only to see whether somebody is here: it is
 * a stream if a byte comes of it. */
static int await_byte(const struct lb_stage *stage)
{
    uint8_t byte;
    ssize_t got = lb_stage_receive(stage, &byte, 1, MSG_PEEK);

    if (got > 0)
        return 0;
    return got == -EAGAIN ? -EAGAIN : -ENODATA;
}

static int go_on(struct lb_stage *stage, struct lb_proxy_header *header, const char **why)
{
    const union lb_peer *own = &stage->stream->peer;
    int rc = 0;

    while (rc == 0 && !header->over)
        rc = receive(stage, header, why);
    if (rc < 0)
        return rc;
    /* By version 1 a front's own connection may be named, too, as another would be. Of one that
     * has reset already nobody knows any more whether it was. */
    if (header->local || own->family == AF_UNSPEC || lb_peer_is_same(&header->peer, own))
        rc = await_byte(stage);
    if (rc == 0 && header->peer.family != AF_UNSPEC)
        lb_stage_set_peer(stage, &header->peer);
    return rc;
}

static int keep(struct proxy_state *state, const struct lb_proxy_header *part)
{
    if (part->size == 0 || part == state->part)
        return -EAGAIN;
    state->part = malloc(sizeof(*part));
    if (!state->part)
        return -ENOMEM;
    *state->part = *part;
    return -EAGAIN;
}

static void drop(struct proxy_state *state)
{
    free(state->part);
    state->part = NULL;
}

static int proxy_enter(struct lb_stage *stage, const char **why)
{
    struct proxy_state *state = lb_stage_state(stage);
    struct lb_proxy_header fresh = {0}, *header = state->part ? state->part : &fresh;
    int rc = go_on(stage, header, why);

    if (rc == -EAGAIN)
        return keep(state, header);
    drop(state);
    return rc;
}

static void proxy_close(struct lb_stage *stage)
{
    drop(lb_stage_state(stage));
}

const struct lb_filter lb_filter_proxy = {
    .name = "proxy",
    .state_size = sizeof(struct proxy_state),
    .settle = proxy_settle,
    .release = proxy_release,
    .expects = proxy_expects,
    .enter = proxy_enter,
    .close = proxy_close,
};
