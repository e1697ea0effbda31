/* SPDX-License-Identifier: MIT */
#include "help.h"

#include "command.h"
#include "console.h"
#include "options.h"
#include "own_sink.h"

#include <lastbyte/lastbyte.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct help_settings {
    bool json;
    bool help, version;
};

#define AT(member) OPTION_AT(struct help_settings, member)

const struct option_row help_options[] = {
    {OPTION_HEADING, .name = "Options"},
    {OPTION_FLAG, .name = "json", AT(json),
     .help = "print commands, options and their values as one JSON object"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

/* What is no command and no option. */
static const struct topic {
    const char *name, *about;
    const char *text;
    option_values *list; /* what there is, above the text */
} topics[] = {
    {"addresses", "where to listen, and where to send to",
     "  HOST:PORT       a name or an IPv4 address\n"
     "  :PORT           recv: every address of this machine; send: localhost\n"
     "  [V6]:PORT       an IPv6 address, a link-local one with its interface\n"
     "  unix:PATH       a Unix socket in the file system\n"
     "  unix:@NAME      one in the abstract namespace\n"
     "  fd:N            recv: a listening socket that it has inherited\n"
     "  systemd[:NAME]  recv: the sockets that systemd has handed down\n"
     "\nWith port 0 recv takes any free port and tells which. More: man lastbyte.\n",
     NULL},
    {"backends", "the ways to receive, best first",
     "\n`lastbyte probe` tells which of them work here, and why others don't.\n",
     lb_backend_describe},
    {"ends", "for which reasons a stream ends",
     "  eof        the peer said \"that was all\": the stream is complete, and no other is\n"
     "  reset      the peer reset the connection\n"
     "  timeout    the peer vanished, or was silent or slow beyond a limit of time\n"
     "  limit      it passed another limit, or the peer was turned away\n"
     "  sink       the sink refused or failed: the data is not safe\n"
     "  stopped    the server was stopped before the stream's end\n"
     "  error      any other error of the socket\n"
     "  truncated  the connection closed before the stream's own end had come\n"
     "\nMore: man lastbyte.\n",
     NULL},
    {"receipts", "how a sender knows that it arrived",
     "  lastbyte recv --sink=dir:/srv/backup --receipt\n"
     "  lastbyte send --receipt HOST:1090 -- tar c DIR && echo safe\n"
     "\nOnce a stream is safe in the sink, recv sends one line, ok BYTES ALGO:DIGEST ID, and send\n"
     "holds it against what it sent. More: man lastbyte-receipt.\n",
     NULL},
    {"seals", "how a receiver knows that nothing was cut off",
     "  lastbyte recv --listen=unix:drop.socket --sink=dir:drop --seal --receipt\n"
     "  lastbyte send --seal --receipt unix:drop.socket FILE\n"
     "\nA proxy, an ssh forward or a Unix socket can make an end of what was a cut. Of a sealed\n"
     "stream the receiver knows its true end. More: man lastbyte-seal.\n",
     NULL},
    {"sinks", "where the bytes go", "\nMore: man lastbyte-recv.\n", sink_describe},
    {"sizes", "how sizes and times are written",
     "  4096, 256K, 3M, 2G, 1T        powers of 1024, also as KiB, MiB, GiB, TiB\n"
     "  1KB, 1MB, 1GB, 1TB            powers of 1000\n"
     "  2, 0.5                        seconds\n"
     "  500us, 5ms, 1s                where an option takes a TIME\n",
     NULL},
    {"status", "what the commands exit with",
     "  0  recv: every stream ended eof; send: every stream was sent, with --receipt proven safe\n"
     "  1  some were not\n"
     "  2  usage: an option or its value is wrong\n"
     "  3  could not start: an address, a backend, a sink, a file\n"
     "  4  send --receipt: the server refused a stream, or holds it different\n"
     "  5  send --receipt: no receipt came, so it is unknown whether a stream is safe\n",
     NULL},
    {.name = NULL},
};

enum { FORM_SIZE = 64 };

/* As it is written: hash[:ALGO]. */
static const char *form(const struct lb_description *entry, char text[FORM_SIZE])
{
    const char *open = entry->argument_optional ? "[" : "";
    const char *close = entry->argument_optional ? "]" : "";

    snprintf(text, FORM_SIZE, "%s%s%s%s%s", entry->name, open, entry->argument ? ":" : "",
             entry->argument ? entry->argument : "", close);
    return text;
}

void help_list(const char *title, option_values *describe)
{
    struct lb_description entry = {LB_DESCRIPTION_INIT};
    char text[FORM_SIZE];
    size_t width = 0;

    for (size_t i = 0; describe(i, &entry); i++) {
        size_t size = strlen(form(&entry, text));

        width = size > width ? size : width;
    }
    printf("\n%s:\n", title);
    for (size_t i = 0; describe(i, &entry); i++)
        printf(entry.help ? "  %-*s  %s\n" : "  %-*s%s\n", entry.help ? (int)width : 0,
               form(&entry, text), entry.help ? entry.help : "");
}

int help_help(void)
{
    puts("Usage: lastbyte help [TOPIC]\n\n"
         "Explains a command, an option (lastbyte help --seal) or one of these topics.\n\nTopics:");
    for (const struct topic *topic = topics; topic->name; topic++)
        printf("  %-10s %s\n", topic->name, topic->about);
    options_help(help_options, stdout);
    return command_printed();
}

/* ---- one topic ------------------------------------------------------------------------------- */

static bool tell_command(const char *name)
{
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(name, command->name) == 0) {
            command->print_help();
            return true;
        }
    }
    return false;
}

static bool tell_topic(const char *name)
{
    for (const struct topic *topic = topics; topic->name; topic++) {
        if (strcmp(name, topic->name) != 0)
            continue;
        if (topic->list)
            help_list(topic->about, topic->list);
        else
            printf("\n%s:\n", topic->about);
        fputs(topic->text, stdout);
        return true;
    }
    return false;
}

/* As each command that has such an option explains it. */
static bool tell_option(const char *name)
{
    bool found = false;

    for (const struct command *command = commands; command->name; command++) {
        const struct option_row *row = options_find(command->options, name);

        if (!row)
            continue;
        printf("%slastbyte %s:\n", found ? "\n" : "", command->name);
        options_help_row(row, stdout);
        if (row->values)
            help_list("It may be", row->values);
        found = true;
    }
    return found;
}

static int tell_unknown(const char *given)
{
    enum { NAMES_MAX = 256 };
    const char *names[NAMES_MAX + 1] = {NULL};
    size_t count = 0;

    for (const struct topic *topic = topics; topic->name && count < NAMES_MAX; topic++)
        names[count++] = topic->name;
    for (const struct command *command = commands; command->name && count < NAMES_MAX; command++) {
        names[count++] = command->name;
        for (const struct option_row *row = command->options;
             row->kind != OPTION_END && count < NAMES_MAX; row++) {
            if (row->kind != OPTION_HEADING)
                names[count++] = row->name;
        }
    }
    const char *guess = options_guess(given, names);
    if (guess)
        console_tell("%s: no such topic; did you mean lastbyte help %s?", given, guess);
    else
        console_tell("%s: no such topic; lastbyte help lists them", given);
    return STATUS_USAGE;
}

/* ---- all of it, for programs ------------------------------------------------------------------
 */

static json_t *json_description(const struct lb_description *entry)
{
    return json_pack("{s:s, s:s?, s:b, s:s?}", "name", entry->name, "argument", entry->argument,
                     "argument_optional", entry->argument_optional, "help", entry->help);
}

static json_t *json_list(option_values *describe)
{
    struct lb_description entry = {LB_DESCRIPTION_INIT};
    json_t *list = json_array();

    for (size_t i = 0; describe(i, &entry); i++)
        json_array_append_new(list, json_description(&entry));
    return list;
}

/* The words that the row's argument lists. */
static json_t *json_words(const char *words)
{
    json_t *list = json_array();

    while (*words) {
        size_t size = strcspn(words, "|");

        json_array_append_new(list, json_pack("{s:s%, s:n, s:b, s:n}", "name", words, size,
                                              "argument", "argument_optional", false, "help"));
        words += size + (words[size] != '\0');
    }
    return list;
}

static json_t *json_option(const struct option_row *row)
{
    char letter[] = {row->letter, '\0'};
    json_t *values = row->kind == OPTION_WORD || row->kind == OPTION_CHOICE
                         ? json_words(row->argument)
                     : row->values ? json_list(row->values)
                                   : json_array();

    return json_pack("{s:s, s:s?, s:s?, s:b, s:b, s:s, s:o}", "name", row->name, "letter",
                     row->letter ? letter : NULL, "argument", row->argument, "argument_optional",
                     row->implied != NULL, "repeats", row->kind == OPTION_LIST, "help", row->help,
                     "values", values);
}

static json_t *json_options(const struct option_row *rows)
{
    json_t *list = json_array();

    for (; rows->kind != OPTION_END; rows++) {
        if (rows->kind != OPTION_HEADING)
            json_array_append_new(list, json_option(rows));
    }
    return list;
}

static int print_json(void)
{
    json_t *all = json_array(), *names = json_array();

    for (const struct command *command = commands; command->name; command++)
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:o}", "name", command->name, "help",
                                        command->help, "options", json_options(command->options)));
    for (const struct topic *topic = topics; topic->name; topic++)
        json_array_append_new(names,
                              json_pack("{s:s, s:s}", "name", topic->name, "help", topic->about));
    return command_print_json(
        json_pack("{s:s, s:o, s:o}", "version", lb_version(), "commands", all, "topics", names),
        JSON_INDENT(1));
}

/* `lastbyte help --seal` asks about an option, and is no option of help. */
static bool names_option(const char *word)
{
    return strncmp(word, "--", 2) == 0 && word[2] && !options_find(help_options, word + 2);
}

int help_command(int argc, char **argv)
{
    struct help_settings settings = {0};
    bool option = argc == 2 && names_option(argv[1]);
    int operand = option ? 1 : options_read(help_options, argc, argv, &settings);

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.version)
        return command_version();
    if (settings.json)
        return print_json();
    if (settings.help || operand == argc)
        return help_help();
    if (argc - operand > 1) {
        console_tell("%s: one topic at a time: lastbyte help %s", argv[operand + 1], argv[operand]);
        return STATUS_USAGE;
    }
    const char *topic = argv[operand] + (option ? strlen("--") : 0);
    if ((!option && (tell_command(topic) || tell_topic(topic))) || tell_option(topic))
        return command_printed();
    return tell_unknown(topic);
}
