/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "console.h"
#include "identity.h"
#include "options.h"
#include "pin.h"
#include "quote.h"
#include "secrets.h"

#include <stdbool.h>
#include <string.h>

struct pin_settings {
    const char *dir; /* NULL: the state directory */
    bool help, version;
};

#define AT(member) OPTION_AT(struct pin_settings, member)

const struct option_row pin_options[] = {
    {OPTION_HEADING, .name = "Options"},
    {OPTION_TEXT, .name = "tls-dir", .argument = "DIR", AT(dir),
     .help = "where the key is kept (default $STATE_DIRECTORY, else lastbyte in\n"
             "$XDG_STATE_HOME or ~/.local/state)"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

int pin_help(void)
{
    puts("Usage: lastbyte pin [--tls-dir=DIR]\n\n"
         "Prints the pin of the key that send shows to servers that ask who it is, for their\n"
         "recv --allow-pin. Makes the key where there is none.");
    options_help(pin_options, stdout);
    return command_printed();
}

static int print_pin(const char *directory)
{
    char path[PATH_MAX], name[LB_QUOTE_SIZE], text[LB_PIN_TEXT_SIZE];
    struct lb_pin pin;
    int status, error;

    secrets_keep(0);
    status = identity_find(path, directory, "send.pem");
    if (status != STATUS_OK)
        return status;
    error = lb_pin_of_file(&pin, path);
    if (error) {
        console_tell("%s: %s", lb_quote_name(path, name), strerror(-error));
        return STATUS_NO_START;
    }
    puts(lb_pin_write(&pin, text));
    return command_printed();
}

int pin_command(int argc, char **argv)
{
    struct pin_settings settings = {0};
    int operand = options_read(pin_options, argc, argv, &settings);

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.help)
        return pin_help();
    if (settings.version)
        return command_version();
    if (operand < argc)
        return command_refuse_operand("pin", argv[operand]);
    return print_pin(settings.dir);
}
