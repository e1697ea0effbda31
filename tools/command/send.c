/* SPDX-License-Identifier: MIT */
#include "answer.h"
#include "command.h"
#include "console.h"
#include "dump.h"
#include "input.h"
#include "options.h"
#include "producer.h"
#include "seal_key.h"
#include "secrets.h"
#include "sending.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(member) OPTION_AT(struct send_settings, member)

const struct option_row send_options[] = {
    {OPTION_HEADING, .name = "What"},
    {OPTION_TEXT, .name = "text", .argument = "TEXT", AT(text),
     .help = "send TEXT as it is, and no file"},
    {OPTION_FLAG, .name = "concat", AT(concat),
     .help = "send all files in one stream, one behind the other"},

    {OPTION_CHOICE, .name = "seal", .argument = "count|sha256", AT(seal), .implied = "sha256",
     .help = "put a seal around each stream, by which recv --seal can tell its\n"
             "end from a cut on the way"},
    {OPTION_TEXT, .name = "seal-key", .argument = "FILE", AT(seal_key_path),
     .help = "the same, by the key in FILE, which the server has too"},

#ifdef HAVE_TLS
    {OPTION_HEADING, .name = "Through TLS"},
    {OPTION_FLAG, .name = "tls", AT(tls.on),
     .help = "to recv --tls: its certificate must verify, and be for HOST"},
    {OPTION_TEXT, .name = "tls-ca", .argument = "FILE", AT(tls.ca),
     .help = "by the CAs in FILE, instead of the system's"},
    {OPTION_LIST, .name = "pin", .argument = "sha256//BASE64", AT(given_pins),
     .help = "the same, to the server with this key, as recv --tls prints it,\n"
             "and no other, whatever its certificate says; may repeat"},
    {OPTION_LIST, .name = "pinnedpubkey", .argument = "sha256//BASE64", AT(given_pins),
     .help = "the same as --pin"},
    {OPTION_TEXT, .name = "tls-psk", .argument = "FILE", AT(tls.psk),
     .help = "the same, to a server that has the same key: a line IDENTITY:HEXKEY"},
    {OPTION_TEXT, .name = "tls-dir", .argument = "DIR", AT(tls.dir),
     .help = "where our own key is kept, for servers that ask who we are (default\n"
             "$STATE_DIRECTORY, else lastbyte in $XDG_STATE_HOME or ~/.local/state)"},
#endif

    {OPTION_HEADING, .name = "How"},
    {OPTION_COUNT, .name = "parallel", .argument = "N", AT(parallel), .least = 1,
     .most = SENDING_PARALLEL_MAX, .help = "send up to N streams at a time (default 1)"},
    {OPTION_FLAG, '4', "ipv4", AT(ipv4), .help = "connect to IPv4 addresses only"},
    {OPTION_FLAG, '6', "ipv6", AT(ipv6), .help = "connect to IPv6 addresses only"},
    {OPTION_SECONDS, .name = "connect-timeout", .argument = "SECONDS", AT(connect_timeout_ms),
     .least = 1, .most = 86400000,
     .help = "give up connecting after SECONDS, asking for the name included\n"
             "(default: the limits of the resolver and the kernel)"},
    {OPTION_SECONDS, .name = "idle-timeout", .argument = "SECONDS", AT(idle_timeout_ms), .least = 1,
     .most = 86400000,
     .help = "give up when it is the server's turn and nothing has moved for\n"
             "SECONDS (default: never)"},
    {OPTION_SECONDS, .name = "max-time", .argument = "SECONDS", AT(max_time_ms), .least = 1,
     .most = 86400000, .help = "give a stream, with all its tries, SECONDS (default: any time)"},
    {OPTION_SECONDS, .name = "keepalive", .argument = "SECONDS", AT(keepalive_ms),
     .most = LB_KEEPALIVE_MS_MAX,
     .help = "TCP: give up when the server's machine has given no sign of life\n"
             "for SECONDS, though asked (default 120; 0: never)"},
    {OPTION_COUNT, .name = "retry", .argument = "N", AT(retries), .most = 1000000,
     .help = "try a stream up to N times more if the server can't be reached, or\n"
             "goes before a file's end was sent; with --receipt until a receipt\n"
             "proves the file safe, where repeating may help"},
    {OPTION_CHOICE, .name = "receipt", .argument = "xxh3|sha256", AT(receipt), .implied = "xxh3",
     .help = "ask for proof: hold the server's receipt (recv --receipt) against\n"
             "what was sent; the exit status is the answer"},

    {OPTION_SIZE, .name = "spool-total", .argument = "SIZE", AT(spool_total), .most = UINT64_MAX,
     .help = "with --parallel: hold at most SIZE of answers at a time (default\n"
             "64M); with more, the rest of an answer is dropped"},

    {OPTION_HEADING, .name = "What is told on standard error"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(progress_ms), .least = 100,
     .most = 3600000, .implied = "1",
     .help = "live lines: percent, rate, time left (default: each second on a\n"
             "terminal, after the first)"},
    {OPTION_SIZE, .name = "size", .argument = "SIZE", AT(size), .least = 1, .most = INT64_MAX,
     .help = "how much standard input or the command will give, for the bar"},
    {OPTION_FLAG, 'q', "quiet", AT(quiet), .help = "errors only"},
    {OPTION_FLAG, 'v', "verbose", AT(verbose), .help = "also each stream that was sent"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

int send_help(void)
{
    puts(
        "Usage: lastbyte send [options] ADDR [FILE...]\n"
        "       lastbyte send [options] ADDR -- COMMAND [ARGUMENT...]\n\n"
        "Sends each file, or standard input (-, the default), or a text, or what a command prints, "
        "as\n"
        "one stream; then waits until the server has closed too, and copies what it answers to\n"
        "standard output. If the command fails, so does the stream.\n"
        "ADDR is HOST:PORT, :PORT (this machine), [V6]:PORT, unix:PATH or unix:@NAME (abstract);\n"
        "HOST:PORT,HOST:PORT... tries one after the other.");
    options_help(send_options, stdout);
    puts(
        "\nExamples:\n"
        "  lastbyte send --text='hello, world!' :1090\n"
        "  tar c DIR | lastbyte send HOST:1090\n"
        "  lastbyte send --receipt HOST:1090 -- pg_dump database\n"
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
    int status = sending_prepare(sending);

    if (status)
        return status;
    /* A server or a reader that goes away is told by the failing call. */
    signal(SIGPIPE, SIG_IGN);
    status = sending_run(sending);
    tracks_sum(&sending->tracks);
    if (status && sending->streams > 1)
        console_tell("%zu of %zu streams %s", sending->tracks.sent, sending->streams,
                     sending->settings->receipt == SEND_RECEIPT_NONE ? "were sent"
                                                                     : "are proven safe");
    if (producer_stopped_by()) { /* as if nothing had held it back */
        signal(producer_stopped_by(), SIG_DFL);
        raise(producer_stopped_by());
    }
    return answer_lost() && status == STATUS_OK ? STATUS_FAILED : status;
}

static void tell_input(const struct input *input, int error)
{
    char name[LB_QUOTE_SIZE];

    input_name(input, name);
    if (error == -EISDIR)
        console_tell("%s: is a directory; to send it: tar c %s | lastbyte send ADDR", name, name);
    else
        console_tell("%s: %s", input_name(input, name),
                     error == -ENOENT && input->command ? "no such command" : strerror(-error));
}

/* Everything that can be known before anything is sent. */
static int check_inputs(const struct input *inputs, size_t count)
{
    size_t standard = 0;

    for (size_t i = 0; i < count; i++) {
        int error = input_check(&inputs[i]);

        if (error) {
            tell_input(&inputs[i], error);
            return STATUS_NO_START;
        }
        standard += inputs[i].path && strcmp(inputs[i].path, "-") == 0;
    }
    return standard > 1 ? command_misused("-: standard input can be sent once only") : STATUS_OK;
}

static int read_targets(const struct send_settings *settings, const char *address,
                        struct targets *targets)
{
    struct lb_error error = {LB_ERROR_INIT};

    if (!address)
        return command_misused(
            "where to? lastbyte send [options] ADDR [FILE...]; ADDR is e.g. HOST:PORT");
    if (strncmp(address, "fd:", strlen("fd:")) == 0) {
        console_tell("%s: can't be connected to; use HOST:PORT, unix:PATH or unix:@NAME", address);
        return STATUS_USAGE;
    }
    if (targets_read(targets, address, &error)) {
        console_tell("%s", error.text);
        return STATUS_USAGE;
    }
    if (targets->count > 1 && settings->tls.on && !settings->pins.count)
        return command_misused("--tls: of several addresses a certificate can't name each; use "
                               "--pin, or one address");
    if ((settings->ipv4 || settings->ipv6) && strncmp(address, "unix:", strlen("unix:")) == 0)
        return command_misused("--ipv4, --ipv6: are for HOST:PORT; leave them out");
    return STATUS_OK;
}

/* What there is to send, and where to. */
struct work {
    const char *address; /* NULL: none was given */
    char **files;
    size_t count;   /* of files */
    char **command; /* NULL: none was asked for */
};

static int check_settings(const struct send_settings *settings, const struct work *work)
{
    if (settings->quiet && settings->verbose)
        return command_misused("--quiet: contradicts --verbose; leave out one of the two");
    if (settings->quiet && settings->progress_ms)
        return command_misused("--quiet: contradicts --progress; leave out one of the two");
    if (settings->ipv4 && settings->ipv6)
        return command_misused("--ipv4: contradicts --ipv6; leave out one of the two");
    if (settings->text && work->count)
        return command_misused("--text: takes the place of files; leave out one of the two");
    if (settings->seal == LB_SEAL_COUNT && settings->seal_key_path)
        return command_misused("--seal=count: has no key; leave out --seal-key, or =count");
    if (!work->command)
        return STATUS_OK;
    if (!*work->command)
        return command_misused("--: a command stands behind it; a file's name that begins with a "
                               "dash is written ./-NAME");
    if (settings->text || work->count)
        return command_misused("--: the command takes the place of files and --text; leave out one "
                               "of the two, and write a file's name that begins with a dash as "
                               "./-NAME");
    return STATUS_OK;
}

/* Of inputs that pass the checks. */
static int open_tracks(struct sending *sending)
{
    uint64_t size = sending->settings->size;
    bool wanted = false;

    if (tracks_open(&sending->tracks, sending->inputs, sending->streams, sending->each, size)) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    for (size_t i = 0; i < sending->streams * sending->each; i++)
        wanted = wanted || !input_size(&sending->inputs[i], &size);
    return wanted || !sending->settings->size
               ? STATUS_OK
               : command_misused("--size: files and texts have their own; leave it out");
}

/* Before a key is read. */
static int open_tls(struct sending *sending)
{
    secrets_keep(sending->settings->parallel);
#ifndef INSTRUMENTED /* what leak checkers do would be refused */
    lb_dump_forbid();
#endif
    return tls_client_open(&sending->tls, &sending->settings->tls, sending->targets.addresses[0]);
}

/* Live lines that nobody asked for must not tear what a command prints, or what is being typed. */
static unsigned progress_interval_ms(const struct send_settings *settings, const struct work *work)
{
    bool typed = !settings->text && !work->count && !work->command && isatty(STDIN_FILENO);

    if (settings->progress_ms)
        return settings->progress_ms;
    return settings->quiet || work->command || typed || !console_columns() ? 0 : 1000;
}

static int send_work(const struct send_settings *settings, const struct work *work)
{
    size_t inputs = work->count ? work->count : 1;
    struct sending sending = {.settings = settings};
    int status = check_settings(settings, work);

    if (!status)
        status = read_targets(settings, work->address, &sending.targets);
    if (status) {
        targets_done(&sending.targets);
        return status;
    }
    struct input *all = calloc(inputs, sizeof(all[0]));
    if (!all) {
        console_tell("out of memory");
        targets_done(&sending.targets);
        return STATUS_NO_START;
    }
    for (size_t i = 0; i < work->count; i++)
        all[i].path = work->files[i];
    if (!work->count) {
        all[0].text = settings->text;
        all[0].command = work->command;
        all[0].path = settings->text || work->command ? NULL : "-";
    }
    sending.inputs = all;
    sending.each = settings->concat ? inputs : 1;
    sending.streams = inputs / sending.each;
    status = check_inputs(all, inputs);
    if (!status)
        status = open_tracks(&sending);
    if (!status && settings->tls.on)
        status = open_tls(&sending);
    if (!status)
        status = run(&sending);
    tls_client_close(sending.tls);
    tracks_close(&sending.tracks);
    targets_done(&sending.targets);
    free(all);
    return status;
}

/* Each of those that say whom we trust means that we speak TLS. */
static int read_tls(struct send_settings *settings)
{
    struct tls_settings *tls = &settings->tls;
    int status = pin_list_read(&settings->pins, "pin", &settings->given_pins);

    tls->pins = &settings->pins;
    tls->on = tls->on || settings->pins.count || tls->ca || tls->psk;
    if (status == STATUS_OK && tls->ca && settings->pins.count)
        status = command_misused("--tls-ca: a pin takes its place; leave out one of the two");
    if (status == STATUS_OK && tls->dir && !tls->on)
        status = command_misused("--tls-dir: needs --tls");
    return status;
}

static int send_as_told(struct send_settings *settings, struct work *work)
{
    int status = STATUS_OK;

    settings->progress_ms = progress_interval_ms(settings, work);
    if (settings->seal_key_path) {
        settings->seal = settings->seal == LB_SEAL_COUNT ? LB_SEAL_COUNT : LB_SEAL_HMAC;
        status = seal_key_read(&settings->seal_key, settings->seal_key_path);
    }
    if (status == STATUS_OK)
        status = read_tls(settings);
    return status == STATUS_OK ? send_work(settings, work) : status;
}

/* What stands from first to the end, or to the command behind it. */
static struct work read_work(int argc, char **argv, int first, int behind)
{
    struct work work = {.command = behind ? argv + behind : NULL};
    int end = behind ? behind : argc;

    if (first < end) {
        work.address = argv[first];
        work.files = argv + first + 1;
        work.count = (size_t)(end - first) - 1;
    }
    return work;
}

int send_command(int argc, char **argv)
{
    struct send_settings settings = {.connect_timeout_ms = -1,
                                     .keepalive_ms = 120000,
                                     .spool_total = 64 << 20,
                                     .parallel = 1,
                                     .receipt = SEND_RECEIPT_NONE,
                                     .seal = LB_SEAL_KINDS};
    int behind, status;
    int operand = options_read_command(send_options, argc, argv, &settings, &behind);

    if (operand < 0) {
        status = STATUS_USAGE;
    } else if (settings.help) {
        status = send_help();
    } else if (settings.version) {
        status = command_version();
    } else {
        struct work work = read_work(argc, argv, operand, behind);

        status = send_as_told(&settings, &work);
    }
    seal_key_done(&settings.seal_key);
    pin_list_done(&settings.pins);
    free(settings.given_pins.words);
    return status;
}
