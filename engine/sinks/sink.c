/* SPDX-License-Identifier: MIT */
#include "error.h"
#include "sinks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "print, stdout, ..., hash[:ALGO], ..." */
static const char *list_all(char *text, size_t size)
{
    size_t length = 0;

    text[0] = '\0';
    for (const struct lb_builtin *const *entry = lb_builtins; *entry && length < size; entry++) {
        const struct lb_builtin *builtin = *entry;
        const char *open = builtin->argument_optional ? "[" : "";
        const char *close = builtin->argument_optional ? "]" : "";

        length += (size_t)snprintf(text + length, size - length, "%s%s%s%s%s%s", length ? ", " : "",
                                   builtin->sink.name, open, builtin->argument ? ":" : "",
                                   builtin->argument ? builtin->argument : "", close);
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
        return lb_error_set(error, -EINVAL, "there is no sink \"%s\"; use one of %s", specification,
                            list_all(all, sizeof(all)));
    if (argument && !builtin->argument)
        return lb_error_set(error, -EINVAL, "%s: takes nothing after its name; use %s",
                            specification, builtin->sink.name);
    if (builtin->argument && (argument ? !*argument : !builtin->argument_optional))
        return lb_error_set(error, -EINVAL, "%s: needs %s after the colon; use %s:%s",
                            specification, builtin->argument, builtin->sink.name,
                            builtin->argument);
    if (builtin->setup)
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

bool lb_sink_describe(size_t index, const char **name, const char **argument)
{
    for (size_t i = 0; lb_builtins[i]; i++) {
        if (i == index) {
            *name = lb_builtins[i]->sink.name;
            *argument = lb_builtins[i]->argument;
            return true;
        }
    }
    return false;
}
