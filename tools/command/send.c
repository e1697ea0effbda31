/* SPDX-License-Identifier: MIT */
#include "answer.h"
#include "command.h"
#include "console.h"
#include "input.h"
#include "options.h"
#include "sending.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) OPTION_AT(struct send_settings, member)

static const struct option_row rows[] = {
    {OPTION_HEADING, .name = "What"},
    {OPTION_TEXT, .name = "text", .argument = "TEXT", AT(text),
     .help = "send TEXT as it is, and no file"},
    {OPTION_FLAG, .name = "concat", AT(concat),
     .help = "send all files in one stream, one behind the other"},

    {OPTION_HEADING, .name = "How"},
    {OPTION_COUNT, .name = "parallel", .argument = "N", AT(parallel), .least = 1,
     .most = SENDING_PARALLEL_MAX, .help = "send up to N streams at a time (default 1)"},
    {OPTION_SECONDS, .name = "connect-timeout", .argument = "SECONDS", AT(connect_timeout_ms),
     .least = 1, .most = 86400000,
     .help = "give up connecting after SECONDS (default: the kernel's limit)"},
    {OPTION_COUNT, .name = "retry", .argument = "N", AT(retries), .most = 1000000,
     .help = "try a stream up to N times more if the server can't be reached, or\n"
             "goes before a file's end was sent; with --receipt until a receipt\n"
             "proves the file safe, where repeating may help"},
    {OPTION_CHOICE, .name = "receipt", .argument = "xxh3|sha256", AT(receipt), .implied = "xxh3",
     .help = "ask for proof: hold the server's receipt (recv --receipt) against\n"
             "what was sent; the exit status is the answer"},

    {OPTION_HEADING, .name = "What is told on standard error"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(progress_ms), .least = 100,
     .most = 3600000, .implied = "1", .help = "a live line: streams, bytes, rate"},
    {OPTION_FLAG, 'q', "quiet", AT(quiet), .help = "errors only"},
    {OPTION_FLAG, 'v', "verbose", AT(verbose), .help = "also each stream that was sent"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

static int print_help(void)
{
    puts("Usage: lastbyte send [options] ADDR [FILE...]\n\n"
         "Sends each file, or standard input (-, the default), or a text, as one stream; then "
         "waits\n"
         "until the server has closed too, and copies what it answers to standard output.\n"
         "ADDR is HOST:PORT, :PORT (this machine), [V6]:PORT, unix:PATH or unix:@NAME (abstract).");
    options_help(rows, stdout);
    puts(
        "\nExamples:\n"
        "  lastbyte send --text='hello, world!' :1090\n"
        "  tar c DIR | lastbyte send HOST:1090\n"
        "  lastbyte send --parallel=4 --retry=5 --receipt HOST:1090 *.log\n"
        "\nExit status: 0 every stream was sent and the server closed after it, 1 some were not,\n"
        "2 usage, 3 the server can't be reached or a file can't be opened. With --receipt: 0 "
        "every\n"
        "stream is proven safe, 4 the server refused one or holds it different, 5 no receipt came\n"
        "for one, so it is unknown whether it is safe. If several apply, the highest.");
    return command_printed();
}

static int run(struct sending *sending)
{
    /* A server or a reader that goes away is told by the failing call. */
    signal(SIGPIPE, SIG_IGN);
    command_raise_limits();
    int status = sending_run(sending);
    if (status && sending->streams > 1)
        console_tell("%zu of %zu streams %s", sending->sent, sending->streams,
                     sending->settings->receipt == SEND_RECEIPT_NONE ? "were sent"
                                                                     : "are proven safe");
    return answer_lost() && status == STATUS_OK ? STATUS_FAILED : status;
}

/* Everything that can be known before anything is sent. */
static int check_inputs(const struct input *inputs, size_t count)
{
    size_t standard = 0;

    for (size_t i = 0; i < count; i++) {
        int error = input_check(&inputs[i]);

        if (error == -EISDIR)
            console_tell("%s: is a directory; to send it: tar c %s | lastbyte send ADDR",
                         inputs[i].path, inputs[i].path);
        else if (error)
            console_tell("%s: %s", input_name(&inputs[i]), strerror(-error));
        if (error)
            return STATUS_NO_START;
        standard += !inputs[i].text && strcmp(inputs[i].path, "-") == 0;
    }
    return standard > 1 ? command_misused("-: standard input can be sent once only") : STATUS_OK;
}

static int check_settings(const struct send_settings *settings, const char *address, size_t files)
{
    struct lb_error error = {LB_ERROR_INIT};

    if (settings->quiet && settings->verbose)
        return command_misused("--quiet: contradicts --verbose; leave out one of the two");
    if (settings->quiet && settings->progress_ms)
        return command_misused("--quiet: contradicts --progress; leave out one of the two");
    if (settings->text && files)
        return command_misused("--text: takes the place of files; leave out one of the two");
    if (!address)
        return command_misused(
            "where to? lastbyte send [options] ADDR [FILE...]; ADDR is e.g. HOST:PORT");
    if (strncmp(address, "fd:", strlen("fd:")) == 0) {
        console_tell("%s: can't be connected to; use HOST:PORT, unix:PATH or unix:@NAME", address);
        return STATUS_USAGE;
    }
    if (lb_address_check(address, &error)) {
        console_tell("%s", error.text);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

/* words are ADDR and the files. */
static int send_words(const struct send_settings *settings, char **words, size_t count)
{
    size_t files = count > 1 ? count - 1 : 0;
    int status = check_settings(settings, words[0], files);
    size_t inputs = files ? files : 1;
    struct sending sending = {.settings = settings, .address = words[0]};

    if (status)
        return status;
    sending.inputs = calloc(inputs, sizeof(sending.inputs[0]));
    if (!sending.inputs) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    for (size_t i = 0; i < inputs; i++)
        sending.inputs[i] = (struct input){files ? words[i + 1] : "-", settings->text};
    sending.each = settings->concat ? inputs : 1;
    sending.streams = inputs / sending.each;
    status = check_inputs(sending.inputs, inputs);
    if (!status)
        status = run(&sending);
    free(sending.inputs);
    return status;
}

int send_command(int argc, char **argv)
{
    struct send_settings settings = {
        .connect_timeout_ms = -1, .parallel = 1, .receipt = SEND_RECEIPT_NONE};
    int operand = options_read(rows, argc, argv, &settings);

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.help)
        return print_help();
    if (settings.version)
        return command_version();
    return send_words(&settings, argv + operand, (size_t)(argc - operand));
}
