/* SPDX-License-Identifier: MIT */
#include "sinks.h"
#include "sized.h"

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

static int take_options(struct lb_sink_options *options, const struct lb_sink_options *given,
                        struct lb_error *error)
{
    static const struct lb_layout layout = {
        .name = "struct lb_sink_options",
        .first = LB_FIRST_LAYOUT(struct lb_sink_options, note_context),
        .known = sizeof(struct lb_sink_options),
    };

    *options = (struct lb_sink_options){LB_SINK_OPTIONS_INIT};
    return given ? lb_sized_take(&layout, options, given, error) : 0;
}

static int open_builtin(const struct lb_builtin **result, void **context, const char *specification,
                        const struct lb_sink_options *options, struct lb_error *error)
{
    const char *colon = strchr(specification, ':');
    const char *argument = colon ? colon + 1 : NULL;
    size_t length = colon ? (size_t)(colon - specification) : strlen(specification);
    const struct lb_builtin *builtin = find(specification, length);
    char all[200];
    int rc;

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
    *result = builtin;
    rc = check_options(builtin, specification, options, error);
    return rc == 0 && builtin->setup ? builtin->setup(context, argument, options, error) : rc;
}

int lb_sink_open(const struct lb_sink **sink, void **context, const char *specification,
                 const struct lb_sink_options *options, struct lb_error *error)
{
    const struct lb_builtin *builtin = NULL;
    struct lb_sink_options taken;
    void *made = NULL;
    int rc;

    if (!sink || !context)
        return lb_error_set(error, -EINVAL, "no place for the sink and its context");
    if (!specification)
        return lb_error_set(error, -EINVAL, "no specification of a sink");
    rc = take_options(&taken, options, error);
    if (rc == 0)
        rc = open_builtin(&builtin, &made, specification, &taken, error);
    if (rc < 0)
        return rc;
    *sink = &builtin->sink;
    *context = made;
    return 0;
}

int lb_sink_close(const struct lb_sink *sink, void *context)
{
    if (!sink)
        return 0;
    for (size_t i = 0; lb_builtins[i]; i++) {
        if (sink != &lb_builtins[i]->sink)
            continue;
        if (lb_builtins[i]->teardown && !context)
            return -EINVAL;
        if (lb_builtins[i]->teardown)
            lb_builtins[i]->teardown(context);
        return 0;
    }
    return -EINVAL;
}

bool lb_sink_describe(size_t index, struct lb_description *description)
{
    for (size_t i = 0; lb_builtins[i]; i++) {
        const struct lb_builtin *builtin = lb_builtins[i];

        if (i == index)
            return lb_description_give(description,
                                       &(struct lb_description){
                                           LB_DESCRIPTION_INIT,
                                           .name = builtin->sink.name,
                                           .argument = builtin->argument,
                                           .argument_optional = builtin->argument_optional,
                                           .help = builtin->help,
                                       });
    }
    return false;
}
