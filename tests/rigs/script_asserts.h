/* SPDX-License-Identifier: MIT */
/* What unit tests say of a scripted run. */
#ifndef SCRIPT_ASSERTS_H
#define SCRIPT_ASSERTS_H

#include "unit.h"

#include "script_plan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Runs the steps; every call is as the log has it. */
static inline void rig_assert_log(struct rig *rig, const struct step *steps, size_t count,
                                  const char *log)
{
    rig_run(rig, steps, count);
    assert_string_equal(rig->script.violation, "");
    assert_string_equal(rig->script.log, log);
}

#define ASSERT_LOG(rig, log, ...)                                                                  \
    do {                                                                                           \
        const struct step steps_[] = {__VA_ARGS__};                                                \
        rig_assert_log(rig, steps_, sizeof(steps_) / sizeof(steps_[0]), log);                      \
    } while (0)

/* The first stream's. */
static inline int script_peer(const struct script *script)
{
    return script->streams[0].peer;
}

/* What it may do, by CALL. */
static inline void peer_sends(struct script *script)
{
    char bytes[1000] = "";

    if (send(script_peer(script), bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
        script_violate(script, "the peer can't send: %s", strerror(errno));
}

static inline void peer_shuts(struct script *script)
{
    shutdown(script_peer(script), SHUT_WR);
}

static inline void peer_leaves(struct script *script)
{
    shutdown(script_peer(script), SHUT_RDWR);
}

static inline struct lb_stream *script_stream(const struct script *script)
{
    return (struct lb_stream *)(void *)script->streams[0].conn;
}

#endif
