/* SPDX-License-Identifier: MIT */
#include "counters.h"

void lb_counters_add(struct lb_stats *stats, const struct lb_counters *counters)
{
    stats->accepted += lb_count_read(&counters->accepted);
    stats->bytes += lb_count_read(&counters->bytes);
    stats->waits += lb_count_read(&counters->waits);
    stats->receives += lb_count_read(&counters->receives);
    stats->starved += lb_count_read(&counters->starved);
    stats->empty += lb_count_read(&counters->empty);
    lb_outcomes_sum(stats, &counters->outcomes);
}
