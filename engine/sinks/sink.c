/* SPDX-License-Identifier: MIT */
#include "error.h"
#include "sinks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Those that have the options: "print, ..., hash[:ALGO], ... or exec:COMMAND". */
static const char *list(char *text, size_t size, unsigned options)
{
    size_t length = 0, left = 0;

    text[0] = '\0';
    for (size_t i = 0; lb_builtins[i]; i++)
        left += !(options & ~lb_builtins[i]->options);
    for (size_t i = 0; lb_builtins[i] && length < size; i++) {
        const struct lb_builtin *builtin = lb_builtins[i];
        const char *open = builtin->argument_optional ? "[" : "";
        const char *close = builtin->argument_optional ? "]" : "";

        if (options & ~builtin->options)
            continue;
        left--;
        length += (size_t)snprintf(text + length, size - length, "%s%s%s%s%s%s", builtin->sink.name,
                                   open, builtin->argument ? ":" : "",
                                   builtin->argument ? builtin->argument : "", close,
                                   left > 1    ? ", "
                                   : left == 1 ? " or "
                                               : "");
    }
    return text;
}

static const struct lb_builtin *find(const char *name, size_t length)
{
    for (const struct lb_builtin *const *entry = lb_builtins; *entry; entry++)
        if (strlen((*entry)->sink.name) == length && memcmp((*entry)->sink.name, name, length) == 0)
            return *entry;
    return NULL;
}

static int check_options(const struct lb_builtin *builtin, const char *specification,
                         const struct lb_sink_options *options, struct lb_error *error)
{
    const struct {
        bool set;
        enum lb_builtin_option option;
        const char *name;
    } all[] = {
        {options->append, LB_OPTION_APPEND, "append"},
        {options->direct, LB_OPTION_DIRECT, "direct"},
        {options->no_fsync, LB_OPTION_NO_FSYNC, "no-fsync"},
        {options->spool_max > 0, LB_OPTION_SPOOL_MAX, "spool-max"},
        {options->spool_total > 0, LB_OPTION_SPOOL_TOTAL, "spool-total"},
    };
    char those[200];

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].set && !(builtin->options & all[i].option))
            return lb_error_set(error, -EINVAL, "%s: has no --%s; leave it out, or use %s",
                                specification, all[i].name,
                                list(those, sizeof(those), all[i].option));
    return 0;
}

int lb_sink_open(const struct lb_sink **sink, void **context, const char *specification,
                 const struct lb_sink_options *options, struct lb_error *error)
{
    const char *colon = strchr(specification, ':');
    const char *argument = colon ? colon + 1 : NULL;
    size_t length = colon ? (size_t)(colon - specification) : strlen(specification);
    const struct lb_builtin *builtin = find(specification, length);
    char all[200];
    void *made = NULL;
    int rc = 0;

    if (!builtin)
        return lb_error_set(error, -EINVAL, "there is no sink \"%s\"; use %s", specification,
                            list(all, sizeof(all), 0));
    if (argument && !builtin->argument)
        return lb_error_set(error, -EINVAL, "%s: takes nothing after its name; use %s",
                            specification, builtin->sink.name);
    if (builtin->argument && (argument ? !*argument : !builtin->argument_optional))
        return lb_error_set(error, -EINVAL, "%s: needs %s after the colon; use %s:%s",
                            specification, builtin->argument, builtin->sink.name,
                            builtin->argument);
    if (options)
        rc = check_options(builtin, specification, options, error);
    if (rc == 0 && builtin->setup)
        rc = builtin->setup(&made, argument, options, error);
    if (rc < 0)
        return rc;
    *sink = &builtin->sink;
    *context = made;
    return 0;
}

void lb_sink_close(const struct lb_sink *sink, void *context)
{
    const struct lb_builtin *builtin;

    if (!sink)
        return;
    builtin = find(sink->name, strlen(sink->name));
    assert(builtin && &builtin->sink == sink);
    if (builtin->teardown)
        builtin->teardown(context);
}

bool lb_sink_describe(size_t index, struct lb_description *description)
{
    for (size_t i = 0; lb_builtins[i]; i++) {
        const struct lb_builtin *builtin = lb_builtins[i];

        if (i != index)
            continue;
        *description = (struct lb_description){builtin->sink.name, builtin->argument,
                                               builtin->argument_optional, builtin->help};
        return true;
    }
    return false;
}
