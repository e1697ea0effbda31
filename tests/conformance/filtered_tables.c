/* SPDX-License-Identifier: MIT */
/* The same cases where every byte passes two filters, which change it and change it back; and those
 * about filters. */
#include "suite.h"

#include "filtered_suite.h"
#include "test_filters.h"

const struct test_case *const suite_tables[] = {
    preludes_cases, filters_cases,       judged_cases,    edges_cases,    bytes_cases,
    ends_cases,     sinks_cases,         pauses_cases,    slow_end_cases, stops_cases,
    limits_cases,   stream_limits_cases, admission_cases, load_cases,     scenario_cases,
    receipts_cases, descriptors_cases,   answers_cases,   decided_cases,  adopted_cases,
    NULL,
};

void suite_reset(void)
{
    suite.filtered = true;
    test_filters_used = FILTER_PAIR;
    atomic_store(&test_header_bytes, 0);
}
