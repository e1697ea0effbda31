/* SPDX-License-Identifier: MIT */
#include "sized.h"

#include <errno.h>
#include <string.h>

/* The first member of each. */
static size_t size_of(const void *theirs)
{
    return *(const size_t *)theirs;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

int lb_sized_take(const struct lb_layout *layout, void *ours, const void *theirs,
                  struct lb_error *error)
{
    size_t known = layout->known, size = theirs ? size_of(theirs) : 0;

    if (!theirs)
        return lb_error_set(error, -EINVAL, "no %s", layout->name);
    if (size < layout->first)
        return lb_error_set(error, -EINVAL, "%s.size is %zu: set it with its init macro",
                            layout->name, size);
    if (size > LB_SIZED_MAX ||
        (size > known && !is_zero((const uint8_t *)theirs + known, size - known)))
        return lb_error_set(error, -E2BIG,
                            "%s of %zu bytes asks for what lastbyte %s does not know; "
                            "it needs a newer liblastbyte",
                            layout->name, size, lb_version());
    memcpy(ours, theirs, size < known ? size : known);
    *(size_t *)ours = known;
    return 0;
}

int lb_sized_give(const struct lb_layout *layout, void *theirs, const void *ours)
{
    size_t size = theirs ? size_of(theirs) : 0;

    if (size < layout->first)
        return -EINVAL;
    memcpy(theirs, ours, size < layout->known ? size : layout->known);
    *(size_t *)theirs = size;
    return 0;
}

bool lb_description_give(struct lb_description *theirs, const struct lb_description *ours)
{
    static const struct lb_layout layout = {
        .name = "struct lb_description",
        .first = LB_FIRST_LAYOUT(struct lb_description, help),
        .known = sizeof(struct lb_description),
    };

    return lb_sized_give(&layout, theirs, ours) == 0;
}
