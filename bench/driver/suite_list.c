/* SPDX-License-Identifier: MIT */
#include "suite_list.h"

#include "contenders.h"
#include "suite_private.h"
#include "workloads.h"

#include <jansson.h>
#include <lastbyte/lastbyte.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *names_of_contenders(const struct suite *suite, const struct workload *workload)
{
    json_t *names = json_array();

    for (size_t i = 0; contenders[i].name; i++)
        if (suite->available[i] && contender_serves(&contenders[i], workload))
            json_array_append_new(names, json_string(contenders[i].name));
    return names;
}

static json_t *names_of_params(const struct workload *workload)
{
    json_t *names = json_array();

    for (const struct param *param = workload->params; param && param->name; param++)
        json_array_append_new(names, json_string(param->name));
    return names;
}

static json_t *names_of_figures(const struct workload *workload)
{
    json_t *names = json_array();

    for (size_t i = 0; workload->figures[i]; i++)
        json_array_append_new(names, json_string(workload->figures[i]));
    return names;
}

static json_t *describe_workload(const struct suite *suite, const struct workload *workload)
{
    struct trial trial;

    trial_make(&trial, workload, workload->params, suite->options);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:i, s:f, s:b, s:o}",    /* */
                     "name", workload->name, "what", workload->what,          /* */
                     "figure", workload->figures[0],                          /* */
                     "figures", names_of_figures(workload),                   /* */
                     "params", names_of_params(workload),                     /* */
                     "bytes", (json_int_t)trial_bytes(&trial),                /* */
                     "streams", (int)trial.streams, "seconds", trial.seconds, /* */
                     "only_by_name", workload->only_by_name,                  /* */
                     "contenders", names_of_contenders(suite, workload));
}

static json_t *describe_contender(const struct suite *suite, size_t index)
{
    const struct contender *contender = &contenders[index];
    json_t *served = json_array();
    char text[256];
    const char *why =
        suite->available[index] ? NULL : contender_missing(contender, text, sizeof(text));

    for (const struct workload *workload = workloads; workload->name; workload++)
        if (contender_serves(contender, workload))
            json_array_append_new(served, json_string(workload->name));
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:b, s:s, s:o}",        /* */
                     "name", contender->name, "what", contender->what,   /* */
                     "kind", contender->kind, "label", contender->label, /* */
                     "backend", contender->backend,                      /* */
                     "available", suite->available[index],               /* */
                     "why", why ? why : "", "workloads", served);
}

static json_t *describe(const struct suite *suite)
{
    const struct options *options = suite->options;
    json_t *list = json_array(), *receivers = json_array(), *cases = json_array();

    for (const struct workload *workload = workloads; workload->name; workload++)
        json_array_append_new(list, describe_workload(suite, workload));
    for (size_t i = 0; contenders[i].name; i++)
        json_array_append_new(receivers, describe_contender(suite, i));
    for (size_t i = 0; i < suite->count; i++)
        json_array_append_new(cases, json_string(suite->cases[i].name));
    return json_pack("{s:s, s:I, s:I, s:s, s:I, s:o, s:o, s:o}",          /* */
                     "version", lb_version(),                             /* */
                     "receiver_core", (json_int_t)options->receiver_core, /* */
                     "sender_core", (json_int_t)options->sender_core,     /* */
                     "congestion", options->congestion,                   /* */
                     "rcvbuf", (json_int_t)options->rcvbuf,               /* */
                     "workloads", list, "contenders", receivers, "benchmarks", cases);
}

static int list_json(const struct suite *suite)
{
    json_t *object = describe(suite);
    int rc = object ? json_dumpf(object, stdout, JSON_INDENT(1)) : -1;

    json_decref(object);
    putchar('\n');
    return rc == 0 ? 0 : 1;
}

static int list_text(const struct suite *suite)
{
    puts("workloads:");
    for (const struct workload *workload = workloads; workload->name; workload++)
        printf("  %-14s %s%s\n", workload->name, workload->what,
               workload->only_by_name ? " (only by name)" : "");
    puts("contenders:");
    for (size_t i = 0; contenders[i].name; i++)
        printf("  %-14s %s%s\n", contenders[i].name, contenders[i].what,
               suite->available[i] ? "" : " (missing)");
    puts("benchmarks:");
    for (size_t i = 0; i < suite->count; i++)
        printf("  %s\n", suite->cases[i].name);
    return 0;
}

int suite_list(const struct suite *suite)
{
    return strcmp(suite->options->list, "json") == 0 ? list_json(suite) : list_text(suite);
}
