/* SPDX-License-Identifier: MIT */
#include "given_sink.h"

#include "sized.h"

#include <errno.h>

static const struct lb_layout layout = {
    .name = "struct lb_sink",
    .first = LB_FIRST_LAYOUT(struct lb_sink, check),
    .known = sizeof(struct lb_sink),
};

int lb_given_sink_check(const struct lb_sink *sink, struct lb_error *error)
{
    const unsigned flags = LB_SINK_SERIAL | LB_SINK_MAY_PAUSE | LB_SINK_SLOW_END;
    const unsigned needs = LB_NEEDS_PROGRAMS | LB_NEEDS_NETWORK | LB_NEEDS_OUTPUT |
                           LB_NEEDS_TEMPORARY | LB_NEEDS_DIRECTORY;
    const char *name = sink->name ? sink->name : "without a name";

    if (!sink->write)
        return lb_error_set(error, -EINVAL, "the sink %s has no write", name);
    if (sink->flags & ~flags)
        return lb_error_set(error, -EINVAL, "the sink %s has flags that nobody knows: 0x%x", name,
                            sink->flags & ~flags);
    if (sink->needs & ~needs)
        return lb_error_set(error, -EINVAL, "the sink %s has needs that nobody knows: 0x%x", name,
                            sink->needs & ~needs);
    if (sink->settle && !(sink->flags & LB_SINK_SLOW_END))
        return lb_error_set(error, -EINVAL, "the sink %s has settle without LB_SINK_SLOW_END",
                            name);
    if (sink->needs & LB_NEEDS_DIRECTORY && !sink->directory)
        return lb_error_set(error, -EINVAL, "the sink %s needs a directory and tells none", name);
    if (sink->state_size > LB_STATE_SIZE_MAX)
        return lb_error_set(error, -EINVAL, "the sink %s has a state of %zu bytes: at most 1G",
                            name, sink->state_size);
    return 0;
}

int lb_given_sink_copy(struct lb_sink *sink, const struct lb_sink *given, struct lb_error *error)
{
    if (!given)
        return lb_error_set(error, -EINVAL, "no sink");
    *sink = (struct lb_sink){LB_SINK_INIT};
    return lb_sized_take(&layout, sink, given, error);
}

int lb_given_sink_take(struct lb_sink *sink, const struct lb_sink *given, struct lb_error *error)
{
    int rc = lb_given_sink_copy(sink, given, error);

    return rc < 0 ? rc : lb_given_sink_check(sink, error);
}

int lb_given_sink_give(struct lb_sink *given, const struct lb_sink *sink, struct lb_error *error)
{
    const uint8_t *bytes = (const uint8_t *)sink;

    for (size_t i = given->size; i < layout.known; i++)
        if (bytes[i])
            return lb_error_set(error, -E2BIG,
                                "struct lb_sink of %zu bytes is too short for what the sink %s "
                                "has: compile with the header of lastbyte %s",
                                given->size, sink->name ? sink->name : "without a name",
                                lb_version());
    return lb_sized_give(&layout, given, sink);
}
