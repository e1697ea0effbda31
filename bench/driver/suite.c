/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include "contenders.h"
#include "sample_figures.h"
#include "suite_private.h"
#include "take_sample.h"
#include "workloads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* System calls are counted in a trial of this part of the work, since counting slows every call. */
enum { COUNTED_PART = 8, VERIFIED_PART = 16 };

/* ---- what was asked for ---------------------------------------------------------------------- */

static bool workload_wanted(const struct options *options, const struct workload *workload)
{
    return options->workloads ? options_listed(options->workloads, workload->name)
                              : !workload->only_by_name;
}

static bool contender_wanted(const struct options *options, const struct contender *contender)
{
    if (!options->contenders && !options->backends)
        return !contender->only_by_name;
    if (options->contenders && options_listed(options->contenders, contender->name))
        return true;
    return options->backends && contender->backend && !contender->only_by_name &&
           options_listed(options->backends, contender->backend);
}

static bool is_workload(const char *name)
{
    return workload_find(name) != NULL;
}

static bool is_contender(const char *name)
{
    return contender_find(name) != NULL;
}

static bool is_backend(const char *name)
{
    for (const struct contender *contender = contenders; contender->name; contender++)
        if (contender->backend && strcmp(contender->backend, name) == 0)
            return true;
    return false;
}

static int check_list(const char *option, const char *list, bool (*known)(const char *name))
{
    char name[64];

    for (size_t i = 0; list && options_item(list, i, name, sizeof(name)); i++) {
        if (known(name))
            continue;
        fprintf(stderr, "--%s=%s: there is no \"%s\"; --list says what there is\n", option, list,
                name);
        return -1;
    }
    return 0;
}

static int check_names(const struct options *options)
{
    if (check_list("workload", options->workloads, is_workload) < 0 ||
        check_list("contender", options->contenders, is_contender) < 0 ||
        check_list("backend", options->backends, is_backend) < 0 ||
        check_list("control", options->control, is_contender) < 0)
        return -1;
    return 0;
}

/* ---- the list -------------------------------------------------------------------------------- */

static int add_case(struct suite *suite, const struct workload *workload,
                    const struct contender *contender, const struct param *param, bool control)
{
    struct suite_case *cases = realloc(suite->cases, (suite->count + 1) * sizeof(*cases));
    struct suite_case *added;

    if (!cases)
        return -1;
    suite->cases = cases;
    added = &cases[suite->count++];
    *added = (struct suite_case){
        .count_syscalls = !suite->options->no_syscalls && !workload->observe,
    };
    trial_make(&added->trial, workload, param, suite->options);
    added->trial.contender = contender;
    snprintf(added->name, sizeof(added->name), "%s/%s%s%s%s", workload->name, contender->name,
             param ? "/" : "", param ? param->name : "", control ? "/control" : "");
    return 0;
}

static int add_variants(struct suite *suite, const struct workload *workload,
                        const struct contender *contender)
{
    static const struct param none[] = {{.name = NULL}};
    const struct param *param = workload->params ? workload->params : none;
    const char *control = suite->options->control;

    do {
        const struct param *given = workload->params ? param : NULL;

        if (contender_wanted(suite->options, contender) &&
            add_case(suite, workload, contender, given, false) < 0)
            return -1;
        if (control && strcmp(control, contender->name) == 0 &&
            add_case(suite, workload, contender, given, true) < 0)
            return -1;
        param++;
    } while (workload->params && param->name);
    return 0;
}

static void note_missing(struct suite *suite, const struct contender *contender, const char *why)
{
    size_t used = strlen(suite->missing);

    snprintf(suite->missing + used, sizeof(suite->missing) - used, "%s%s: %s", used ? "; " : "",
             contender->name, why);
    fprintf(stderr, "missing: %s: %s\n", contender->name, why);
}

static bool serves_any(const struct suite *suite, const struct contender *contender)
{
    for (const struct workload *workload = workloads; workload->name; workload++)
        if (workload_wanted(suite->options, workload) && contender_serves(contender, workload))
            return true;
    return false;
}

/* Finds out once who can run here. */
static void find_missing(struct suite *suite)
{
    for (size_t i = 0; contenders[i].name; i++) {
        const struct contender *contender = &contenders[i];
        char text[256];
        const char *why = contender_missing(contender, text, sizeof(text));

        suite->available[i] = !why;
        if (why && contender_wanted(suite->options, contender) && serves_any(suite, contender))
            note_missing(suite, contender, why);
    }
}

static int select_cases(struct suite *suite)
{
    for (const struct workload *workload = workloads; workload->name; workload++) {
        if (!workload_wanted(suite->options, workload))
            continue;
        for (size_t i = 0; contenders[i].name; i++)
            if (suite->available[i] && contender_serves(&contenders[i], workload) &&
                add_variants(suite, workload, &contenders[i]) < 0)
                return -1;
    }
    return 0;
}

static size_t contender_count(void)
{
    size_t count = 0;

    while (contenders[count].name)
        count++;
    return count;
}

int suite_open(struct suite **suite_out, const struct options *options)
{
    struct suite *suite;

    if (check_names(options) < 0)
        return -1;
    suite = calloc(1, sizeof(*suite));
    if (!suite)
        return -1;
    suite->options = options;
    suite->available = calloc(contender_count() + 1, sizeof(*suite->available));
    suite->sample = sample_open();
    suite->schedule = schedule_open();
    if (suite->available && suite->sample && suite->schedule) {
        find_missing(suite);
        if (select_cases(suite) == 0) {
            for (size_t i = 0; i < suite->count; i++) {
                suite->cases[i].sample = suite->sample;
                suite->cases[i].schedule = suite->schedule;
                suite->cases[i].latencies = options->latencies;
            }
            *suite_out = suite;
            return 0;
        }
    }
    fprintf(stderr, "out of memory\n");
    suite_close(suite);
    return -1;
}

void suite_close(struct suite *suite)
{
    sample_close(suite->sample);
    schedule_close(suite->schedule);
    free(suite->available);
    free(suite->cases);
    free(suite);
}

const struct options *suite_options(const struct suite *suite)
{
    return suite->options;
}

const char *suite_missing(const struct suite *suite)
{
    return suite->missing;
}

struct suite_case *suite_at(struct suite *suite, size_t index)
{
    return index < suite->count ? &suite->cases[index] : NULL;
}

const char *suite_case_name(const struct suite_case *chosen)
{
    return chosen->name;
}

const char *suite_case_label(const struct suite_case *chosen)
{
    return chosen->trial.contender->label;
}

const char *const *suite_case_figures(const struct suite_case *chosen)
{
    return chosen->trial.workload->figures;
}

/* ---- running --------------------------------------------------------------------------------- */

static int fail(const struct suite_case *chosen, char why[SUITE_WHY_SIZE])
{
    snprintf(why, SUITE_WHY_SIZE, "%s: %s", chosen->trial.contender->name, chosen->sample->why);
    return -1;
}

/* The first time: how many system calls it takes. Where they can't be counted, that is known
 * after one try. */
static int count_syscalls(struct suite_case *chosen)
{
    struct trial trial = chosen->trial;

    if (!chosen->count_syscalls)
        return 0;
    chosen->count_syscalls = false;
    trial_shrink(&trial, COUNTED_PART);
    trial.count_syscalls = true;
    if (take_sample(chosen->sample, &trial) < 0)
        return -1;
    sample_syscall_figures(&chosen->syscalls, &trial, chosen->sample);
    return 0;
}

/* Of a floor: has the one that it follows show when it gathers, just before. */
static int record_schedule(struct suite_case *chosen)
{
    struct trial trial = chosen->trial;

    if (!trial.contender->follows)
        return 0;
    memset(chosen->schedule, 0, sizeof(*chosen->schedule));
    chosen->trial.schedule = chosen->schedule;
    trial.schedule = chosen->schedule;
    trial.contender = contender_find(trial.contender->follows);
    return take_sample(chosen->sample, &trial);
}

static int write_latencies(struct suite_case *chosen)
{
    const struct histogram *latency = &chosen->sample->arrivals.latency;
    int rc =
        chosen->latencies && latency->count > 0 ? histogram_write(latency, chosen->latencies) : 0;

    return rc < 0
               ? sample_fail(chosen->sample, "--latencies=%s: %s", chosen->latencies, strerror(-rc))
               : 0;
}

int suite_case_run(struct suite_case *chosen, struct figures *figures, char why[SUITE_WHY_SIZE])
{
    const struct figures *syscalls = &chosen->syscalls;

    *figures = (struct figures){0};
    if (record_schedule(chosen) < 0 || count_syscalls(chosen) < 0 ||
        take_sample(chosen->sample, &chosen->trial) < 0)
        return fail(chosen, why);
    if (write_latencies(chosen) < 0)
        return fail(chosen, why);
    sample_figures(figures, &chosen->trial, chosen->sample);
    for (size_t i = 0; i < syscalls->count; i++)
        figures_add(figures, syscalls->items[i].name, syscalls->items[i].value);
    return 0;
}

int suite_verify(struct suite *suite)
{
    int status = 0;

    for (size_t i = 0; i < suite->count; i++) {
        struct suite_case *chosen = &suite->cases[i];
        struct trial trial = chosen->trial;
        const struct contender *contender = trial.contender;

        trial_shrink(&trial, VERIFIED_PART);
        trial.verify = true;
        if (take_sample(suite->sample, &trial) < 0) {
            printf("%s: WRONG: %s\n", chosen->name, suite->sample->why);
            status = 1;
        } else {
            printf("%s: ok%s\n", chosen->name, contender->drops ? " (only counted)" : "");
        }
        fflush(stdout);
    }
    return status;
}
