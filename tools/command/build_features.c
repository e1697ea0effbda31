/* SPDX-License-Identifier: MIT */
#include "build_features.h"

#include "console.h"

#include <string.h>

const struct feature features_missing[] = {
#ifndef HAVE_TLS
    {.name = "tls",
     .options = {"tls", "pin", "pinnedpubkey", "allow-pin"},
     .command = "pin",
     .why = "built without libssl"},
#endif
#ifndef HAVE_S3
    {.name = "s3",
     .options = {"s3"},
     .sink = "s3",
     .why = "libcurl or expat was missing, or it was turned off"},
#endif
#ifndef HAVE_METRICS
    {.name = "metrics",
     .options = {"metrics"},
     .why = "libmicrohttpd was missing, or it was turned off"},
#endif
    {.name = NULL},
};

/* text is word, or goes on behind it with separator. */
static bool begins_with(const char *text, const char *word, char separator)
{
    size_t size = word ? strlen(word) : 0;

    return word && strncmp(text, word, size) == 0 && (!text[size] || text[size] == separator);
}

bool features_tell_option(const char *name)
{
    for (const struct feature *feature = features_missing; feature->name; feature++) {
        for (const char *const *option = feature->options; *option; option++) {
            if (!begins_with(name, *option, '-'))
                continue;
            console_tell("--%s: needs the feature %s, which this build lacks: %s", name,
                         feature->name, feature->why);
            return true;
        }
    }
    return false;
}

bool features_tell_command(const char *name)
{
    for (const struct feature *feature = features_missing; feature->name; feature++) {
        if (!feature->command || strcmp(name, feature->command) != 0)
            continue;
        console_tell("%s: needs the feature %s, which this build lacks: %s", name, feature->name,
                     feature->why);
        return true;
    }
    return false;
}

bool features_tell_sink(const char *specification)
{
    for (const struct feature *feature = features_missing; feature->name; feature++) {
        if (!begins_with(specification, feature->sink, ':'))
            continue;
        console_tell("--sink=%s: needs the feature %s, which this build lacks: %s", specification,
                     feature->name, feature->why);
        return true;
    }
    return false;
}
