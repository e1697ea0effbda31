/* SPDX-License-Identifier: MIT */
/* The cases of the library as it is, with its own filters. */
#include "suite.h"

const struct test_case *const suite_tables[] = {
    bytes_cases,    ends_cases,     sinks_cases,         pauses_cases,    slow_end_cases,
    stops_cases,    limits_cases,   stream_limits_cases, admission_cases, load_cases,
    scenario_cases, receipts_cases, descriptors_cases,   answers_cases,   decided_cases,
    adopted_cases,  forked_cases,   told_cases,          empty_cases,     fronts_cases,
    bounds_cases,   idle_cases,     wrapped_cases,       events_cases,    NULL,
};

void suite_reset(void)
{
}
