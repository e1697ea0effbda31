/* SPDX-License-Identifier: MIT */
/* The same cases through TLS: peers reach the engine by a relay. */
#include "suite.h"

#include "tls_cases.h"
#include "tls_relay.h"
#include "tls_rig.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

static struct tls_relay relay;
static char file[300];

const struct test_case *const suite_tables[] = {
    tls_cases,       tls_strangers_cases, bytes_cases,    ends_cases,     sinks_cases,
    pauses_cases,    slow_end_cases,      stops_cases,    limits_cases,   stream_limits_cases,
    admission_cases, load_cases,          scenario_cases, receipts_cases, descriptors_cases,
    answers_cases,   decided_cases,       told_cases,     NULL,
};

void suite_reset(void)
{
    suite.filtered = true;
}

void suite_configure(struct lb_config *config)
{
    if (!file[0]) {
        snprintf(file, sizeof(file), "%s/identity.pem", suite.directory);
        if (tls_rig_identity(file) < 0)
            abort();
    }
    config->tls = true;
    config->tls_cert = config->tls_key = file;
    config->tls_records = getenv("LASTBYTE_TLS_RECORDS"); /* NULL: the default */
}

const char *suite_front(const char *address)
{
    if (tls_relay_start(&relay, address) < 0)
        abort();
    return relay.address;
}

void suite_leave(void)
{
    tls_relay_stop(&relay);
}

/* What a relay can't be in the middle of. */
bool suite_leaves_out(const char *name)
{
    static const char *const names[] = {
        "peer_names",
        "two_addresses",
        "whose_it_is",              /* where peers come from, and connect to */
        "stop_*backlog*",           /* peers that wait for the relay are not in the engine's */
        "another_engine_beside_it", /* there is one relay, for one engine */
        "half_close_with_reply",
        "long_reply", /* sinks that write to the connection itself */
        "out_of_band_*",
        "urgent_*", /* TLS has no urgent data */
        "a_throttled_stream",
        "a_rate_and_pauses", /* a record is larger than what the rate allows */
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (fnmatch(names[i], name, 0) == 0)
            return true;
    return false;
}
