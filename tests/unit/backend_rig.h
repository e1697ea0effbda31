/* SPDX-License-Identifier: MIT */
/* A backend on its own, with real peers: the test calls it as a worker would. */
#ifndef BACKEND_RIG_H
#define BACKEND_RIG_H

#include "backend.h"
#include "listener.h"
#include "pool.h"

#include <stdalign.h>

enum { CONNS = 24, PEERS_MAX = 300, EVENTS = 64, SLOT_SIZE = 4096, SHORT_MS = 30 };

/* The one that is tested. */
extern const struct lb_backend *backend;

struct peer {
    alignas(LB_COOKIE_ALIGN) struct lb_conn conn;
    bool open; /* conn's descriptor */
    int fd;    /* the other end */
};

struct rig {
    size_t slot_size; /* SLOT_SIZE unless it is set before rig_open */
    struct lb_pool pool;
    struct lb_listener_list listeners;
    void *state;
    int wake_fd;
    struct peer peers[PEERS_MAX];
    unsigned peer_count;
    struct lb_event events[EVENTS]; /* the last batch */
    int count, next;
};

/* cmocka's fixture: a rig that is not open yet. */
int rig_setup(void **state);
int rig_teardown(void **state);

void rig_open(struct rig *rig, unsigned slots, bool whole_slots);

/* One wait. Returns how many events came. */
int rig_wait(struct rig *rig, int timeout_ms, unsigned accept_limit);

/* The next event of the last batch, or of one that comes. */
const struct lb_event *rig_next_event(struct rig *rig);

/* Nothing happens for a moment. */
void rig_assert_silence(struct rig *rig);

/* Connects a peer and accepts it. */
struct peer *rig_add_peer(struct rig *rig);

/* Begins to receive from it; forgets and closes it. */
void rig_receive(struct rig *rig, struct peer *peer, bool once);
void rig_forget(struct rig *rig, struct peer *peer);

/* What comes next is this. */
void rig_assert_data(struct rig *rig, const struct peer *peer, const char *text);
void rig_assert_terminal(struct rig *rig, const struct peer *peer, int error);

void peer_send_text(const struct peer *peer, const char *text);

/* Chooses the backend that the command line names, and whether it gathers, and runs the tests if it
 * works here. */
int backend_main(int argc, char **argv, int (*run)(void));

#endif
