/* SPDX-License-Identifier: MIT */
#include "build_features.h"
#include "command.h"
#include "console.h"
#include "harden.h"
#include "options.h"

#include <lastbyte/lastbyte.h>

#include <jansson.h>
#include <stdbool.h>

struct probe_settings {
    bool json;
    bool help, version;
};

#define AT(member) OPTION_AT(struct probe_settings, member)

const struct option_row probe_options[] = {
    {OPTION_HEADING, .name = "Options"},
    {OPTION_FLAG, .name = "json", AT(json), .help = "print one JSON object instead of the table"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

int probe_help(void)
{
    puts("Usage: lastbyte probe [--json]\n\n"
         "Tells which backends and kernel features this process may use here, and why not; and "
         "which\n"
         "features this build lacks.");
    options_help(probe_options, stdout);
    return command_printed();
}

static void print_row(const char *name, const char *usable, const char *why)
{
    int width = printf("%-22s %-7s", name, usable);

    (void)width;
    printf(why[0] ? " %s\n" : "%s\n", why);
}

static void print_rows(const char *title, const struct lb_feature *features, size_t count)
{
    print_row(title, "usable", "why");
    for (size_t i = 0; i < count; i++)
        print_row(features[i].name, features[i].usable ? "yes" : "no", features[i].why);
}

static void print_table(const struct lb_probe *probe)
{
    print_rows("backend", probe->features, probe->backends);
    putchar('\n');
    print_rows("kernel feature", probe->features + probe->backends, probe->count - probe->backends);
    if (features_missing->name) {
        putchar('\n');
        print_row("build feature", "usable", "why");
    }
    for (const struct feature *feature = features_missing; feature->name; feature++)
        print_row(feature->name, "no", feature->why);
}

static json_t *json_row(const char *name, bool usable, const char *why)
{
    return json_pack("{s:s, s:b, s:s}", "name", name, "usable", usable, "why", why);
}

static json_t *json_rows(const struct lb_feature *features, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_row(features[i].name, features[i].usable, features[i].why));
    return list;
}

static json_t *json_missing(void)
{
    json_t *list = json_array();

    for (const struct feature *feature = features_missing; feature->name; feature++)
        json_array_append_new(list, json_row(feature->name, false, feature->why));
    return list;
}

static int print_json(const struct lb_probe *probe)
{
    return command_print_json(
        json_pack("{s:s, s:o, s:o, s:o}", "version", lb_version(), "backends",
                  json_rows(probe->features, probe->backends), "features",
                  json_rows(probe->features + probe->backends, probe->count - probe->backends),
                  "build", json_missing()),
        JSON_COMPACT);
}

int probe_command(int argc, char **argv)
{
    struct probe_settings settings = {0};
    struct lb_probe probe = {LB_PROBE_INIT};
    int operand = options_read(probe_options, argc, argv, &settings);

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.help)
        return probe_help();
    if (settings.version)
        return command_version();
    if (operand < argc)
        return command_refuse_operand("probe", argv[operand]);
    lb_probe(&probe);
    harden_probe(&probe);
    if (settings.json)
        return print_json(&probe);
    print_table(&probe);
    return command_printed();
}
