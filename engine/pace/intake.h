/* SPDX-License-Identifier: MIT */
/* What came in some windows, to be compared with what came in others. */
#ifndef LB_INTAKE_H
#define LB_INTAKE_H

#include <stdint.h>

struct lb_intake {
    uint64_t bytes, ns;
};

static inline void lb_intake_add(struct lb_intake *intake, uint64_t bytes, uint64_t ns)
{
    intake->bytes += bytes;
    intake->ns += ns;
}

/* Bytes a ns. Of no time there is none. */
static inline double lb_intake_rate(const struct lb_intake *intake)
{
    return (double)intake->bytes / (double)intake->ns;
}

#endif
