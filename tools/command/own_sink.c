/* SPDX-License-Identifier: MIT */
#include "own_sink.h"

#ifdef HAVE_S3
#include "s3/s3.h"
#endif

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct own_sink own_sinks[] = {
#ifdef HAVE_S3
    {
        .description = {LB_DESCRIPTION_INIT, .name = "s3", .argument = "BUCKET[/PREFIX]",
                        .help = "an object per stream in an S3-compatible store"},
        .open = s3_sink_open,
        .close = s3_sink_close,
        .option = s3_option_given,
    },
#endif
    {.open = NULL},
};

__attribute__((format(printf, 2, 3))) static int refuse(struct lb_error *error, const char *format,
                                                        ...)
{
    va_list values;

    error->code = -EINVAL;
    va_start(values, format);
    vsnprintf(error->text, sizeof(error->text), format, values);
    va_end(values);
    return -EINVAL;
}

bool sink_describe(size_t index, struct lb_description *description)
{
    size_t count = 0;

    if (lb_sink_describe(index, description))
        return true;
    while (lb_sink_describe(count, description))
        count++;
    for (const struct own_sink *own = own_sinks; own->open; own++)
        if (index == count++) {
            *description = own->description;
            return true;
        }
    return false;
}

/* "print, stdout, ... or s3:BUCKET[/PREFIX]" */
static void list_sinks(char *text, size_t size)
{
    struct lb_description next = {LB_DESCRIPTION_INIT}, entry;
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; sink_describe(i, &next) && used < size; i++) {
        bool last;

        entry = next;
        last = !sink_describe(i + 1, &next);
        used += (size_t)snprintf(text + used, size - used, "%s%s%s%s%s%s",
                                 i == 0 ? ""
                                 : last ? " or "
                                        : ", ",
                                 entry.name, entry.argument_optional ? "[" : "",
                                 entry.argument ? ":" : "", entry.argument ? entry.argument : "",
                                 entry.argument_optional ? "]" : "");
    }
}

static bool is_called(const struct lb_description *description, const char *name, size_t size)
{
    return strlen(description->name) == size && memcmp(description->name, name, size) == 0;
}

static bool is_known(const char *name, size_t size)
{
    struct lb_description description = {LB_DESCRIPTION_INIT};

    for (size_t i = 0; sink_describe(i, &description); i++)
        if (is_called(&description, name, size))
            return true;
    return false;
}

static const struct own_sink *find_own(const char *name, size_t size)
{
    for (const struct own_sink *own = own_sinks; own->open; own++)
        if (is_called(&own->description, name, size))
            return own;
    return NULL;
}

/* One of the library's own sinks', that was given. */
static const char *common_option(const struct lb_sink_options *common)
{
    return common->append            ? "append"
           : common->direct          ? "direct"
           : common->no_fsync        ? "no-fsync"
           : common->spool_max > 0   ? "spool-max"
           : common->spool_total > 0 ? "spool-total"
                                     : NULL;
}

/* Of a sink that is not chosen. */
static int check_others(const struct own_sink *chosen, const char *specification,
                        const struct s3_options *options, struct lb_error *error)
{
    for (const struct own_sink *own = own_sinks; own->open; own++) {
        const char *option = own == chosen ? NULL : own->option(options);

        if (option)
            return refuse(error, "%s: has no --%s; leave it out, or use %s:%s", specification,
                          option, own->description.name, own->description.argument);
    }
    return 0;
}

static int open_own(const struct own_sink *own, const struct lb_sink **sink, void **context,
                    const char *specification, const struct s3_options *options,
                    const struct lb_sink_options *common, struct lb_error *error)
{
    const char *colon = strchr(specification, ':'), *option = common_option(common);

    if (option)
        return refuse(error, "%s: has no --%s; leave it out, or use a sink of files", specification,
                      option);
    if (!colon || !colon[1])
        return refuse(error, "%s: needs %s after the colon; use %s:%s", specification,
                      own->description.argument, own->description.name, own->description.argument);
    return own->open(sink, context, colon + 1, options, common, error);
}

int sink_open(const struct own_sink **chosen, const struct lb_sink **sink, void **context,
              const char *specification, const struct s3_options *options,
              const struct lb_sink_options *common, struct lb_error *error)
{
    size_t size = strcspn(specification, ":");
    const struct own_sink *own = find_own(specification, size);
    char all[300];

    *chosen = own;
    if (!is_known(specification, size)) {
        list_sinks(all, sizeof(all));
        return refuse(error, "there is no sink \"%s\"; use %s", specification, all);
    }
    if (check_others(own, specification, options, error) < 0)
        return -EINVAL;
    return own ? open_own(own, sink, context, specification, options, common, error)
               : lb_sink_open(sink, context, specification, common, error);
}

void sink_close(const struct own_sink *own, const struct lb_sink *sink, void *context)
{
    if (own)
        own->close(context);
    else
        lb_sink_close(sink, context);
}
