/* SPDX-License-Identifier: MIT */
#include "admission.h"
#include "command.h"
#include "console.h"
#include "harden.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "systemd_sockets.h"
#include "user.h"
#include "value.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum stats_form { STATS_JSON, STATS_TEXT, STATS_NONE, STATS_UNSET };

/* As the choice lists them. */
static const char *const receipt_names[] = {"xxh3", "sha256", NULL};
enum { RECEIPT_NONE = 2 };

struct recv_settings {
    struct option_list listen;
    const char *backend;
    const char *sink;
    bool append, direct;
    bool no_fsync;
    uint64_t spool_max;
    unsigned receipt; /* index into receipt_names */
    uint64_t count;
    bool once;
    uint64_t workers, buffer_size, buffers, max_streams, backlog, rcvbuf;
    const char *greeting;
    uint64_t drain_ms;
    uint64_t gather_max_us;
    uint64_t max_bytes, idle_timeout_ms, max_time_ms, min_rate, min_rate_window_ms;
    bool no_splice;
    uint64_t rate_limit, total_rate_limit, keepalive_ms, max_streams_per_peer;
    struct option_list allow, deny, allow_users;
    uid_t *allow_uids; /* allow_users, resolved */
    const char *unix_mode;
    unsigned mode;  /* unix_mode, read */
    unsigned stats; /* enum stats_form */
    uint64_t progress_ms;
    bool quiet, verbose, help, version;
    const char *user_text, *no_harden;
    struct user user;
    bool harden_off[HARDEN_PARTS];
};

#define AT(member) OPTION_AT(struct recv_settings, member)

static const struct option_row rows[] = {
    {OPTION_HEADING, .name = "From where, and where to"},
    {OPTION_LIST, 'l', "listen", "ADDR", AT(listen),
     .help = "HOST:PORT, :PORT, [V6]:PORT, unix:PATH, unix:@NAME (abstract),\n"
             "fd:N or systemd[:NAME]; may repeat; port 0 is any free one\n"
             "(default: systemd's sockets if there are any, else :1090)"},
    {OPTION_TEXT, 's', "sink", "SPEC", AT(sink),
     .help = "where each stream's bytes go (default print); see below"},
    {OPTION_FLAG, .name = "append", AT(append),
     .help = "file: add each complete stream to the end of the file"},
    {OPTION_FLAG, .name = "direct", AT(direct),
     .help = "file, dir: write past the page cache (O_DIRECT), and leave it to\n"
             "others; for backups"},
    {OPTION_CHOICE, .name = "receipt", .argument = "xxh3|sha256", AT(receipt), .implied = "xxh3",
     .help = "once a stream is safe in the sink, send its sender a line:\n"
             "ok BYTES ALGO:DIGEST ID; else error REASON BYTES"},
    {OPTION_FLAG, .name = "no-fsync", AT(no_fsync),
     .help = "file, dir: don't sync before the line; faster, but what it calls\n"
             "safe may be lost when the machine crashes"},
    {OPTION_SIZE, .name = "spool-max", .argument = "SIZE", AT(spool_max), .least = 1,
     .most = INT64_MAX,
     .help = "exec: a command may print SIZE bytes before its input ends\n"
             "(default 1G); they wait on disk"},
    {OPTION_TEXT, .name = "greeting", .argument = "TEXT", AT(greeting),
     .help = "send TEXT on accept; \\n, \\t and \\\\ are understood"},

    {OPTION_HEADING, .name = "How long"},
    {OPTION_COUNT, 'n', "count", "N", AT(count), .least = 1, .most = INT64_MAX,
     .help = "stop after N streams have ended (default: never)"},
    {OPTION_FLAG, .name = "once", AT(once), .help = "the same as --count=1"},
    {OPTION_SECONDS, .name = "drain", .argument = "SECONDS", AT(drain_ms), .most = 1000000000,
     .help = "how long streams under way may go on after SIGINT or SIGTERM\n"
             "(default 10; 0: not at all)"},

    {OPTION_HEADING, .name = "How"},
    {OPTION_TEXT, 'b', "backend", "NAME", AT(backend),
     .help = "auto (default: the best that works), uring, epoll or blocking"},
    {OPTION_COUNT, 'w', "workers", "N", AT(workers), .least = 1, .most = 1024,
     .help = "threads (default: one per usable core, at most 4; blocking: 64)"},
    {OPTION_SIZE, .name = "buffer-size", .argument = "SIZE", AT(buffer_size), .least = 1,
     .most = 1 << 30, .help = "bytes of one slot of the pool; sizes take K, M or G"},
    {OPTION_COUNT, .name = "buffers", .argument = "N", AT(buffers), .least = 1, .most = 1 << 15,
     .help = "slots of the pool of each worker"},
    {OPTION_COUNT, .name = "max-streams", .argument = "N", AT(max_streams), .least = 1,
     .most = 1 << 20,
     .help = "streams at a time; further peers wait in the backlog\n"
             "(default 10000)"},
    {OPTION_COUNT, .name = "backlog", .argument = "N", AT(backlog), .least = 1, .most = INT_MAX,
     .help = "peers that may wait for accept (default: what the system allows)"},
    {OPTION_SIZE, .name = "rcvbuf", .argument = "SIZE", AT(rcvbuf), .least = 1, .most = INT_MAX,
     .help = "receive buffer of each socket (default: the kernel's own tuning)"},

    {OPTION_TIME, .name = "gather-max", .argument = "TIME", AT(gather_max_us), .most = 100000,
     .help = "under load, let bytes gather for at most TIME before receiving\n"
             "(default 1ms; 0: never)"},
    {OPTION_FLAG, .name = "no-splice", AT(no_splice),
     .help = "let every byte come through user space, also where the sink is\n"
             "only a file or a pipe"},

    {OPTION_HEADING, .name = "Limits, each ending only its own stream (default: none)"},
    {OPTION_SIZE, .name = "max-bytes", .argument = "SIZE", AT(max_bytes), .least = 1,
     .most = INT64_MAX, .help = "a stream may have SIZE bytes; with more it ends limit"},
    {OPTION_SECONDS, .name = "idle-timeout", .argument = "SECONDS", AT(idle_timeout_ms),
     .least = 10, .most = 1000000000, .help = "without a byte for so long it ends timeout"},
    {OPTION_SECONDS, .name = "max-time", .argument = "SECONDS", AT(max_time_ms), .least = 10,
     .most = 1000000000, .help = "without its EOF after so long it ends timeout"},
    {OPTION_SIZE, .name = "min-rate", .argument = "SIZE", AT(min_rate), .least = 1,
     .most = INT64_MAX, .help = "with fewer bytes a second over a window it ends limit"},
    {OPTION_SECONDS, .name = "min-rate-window", .argument = "SECONDS", AT(min_rate_window_ms),
     .least = 10, .most = 1000000000, .help = "that window (default 10)"},
    {OPTION_SIZE, .name = "rate-limit", .argument = "SIZE", AT(rate_limit), .least = 1024,
     .most = INT64_MAX, .help = "receive at most so many bytes a second of a stream"},
    {OPTION_SIZE, .name = "total-rate-limit", .argument = "SIZE", AT(total_rate_limit),
     .least = 1024, .most = INT64_MAX, .help = "receive at most so many bytes a second in all"},
    {OPTION_SECONDS, .name = "keepalive", .argument = "SECONDS", AT(keepalive_ms), .most = 32767000,
     .help = "a TCP peer whose machine is silent for so long has vanished\n"
             "(default 120; 0: never ask it)"},

    {OPTION_HEADING, .name = "Who may come in (default: everyone)"},
    {OPTION_LIST, .name = "allow", .argument = "CIDR", AT(allow),
     .help = "TCP peers of this network, 192.0.2.0/24 or 2001:db8::/32, and no\n"
             "others; may repeat"},
    {OPTION_LIST, .name = "deny", .argument = "CIDR", AT(deny),
     .help = "not TCP peers of this network, whatever --allow says; may repeat"},
    {OPTION_LIST, .name = "allow-uid", .argument = "USER", AT(allow_users),
     .help = "this user at Unix sockets, by number or name, and no others;\n"
             "may repeat"},
    {OPTION_TEXT, .name = "unix-mode", .argument = "MODE", AT(unix_mode),
     .help = "permissions of the socket of unix:PATH, in octal (default: umask)"},
    {OPTION_COUNT, .name = "max-streams-per-peer", .argument = "N", AT(max_streams_per_peer),
     .least = 1, .most = 1 << 20,
     .help = "streams at a time of one address, or one user of a Unix socket"},

    {OPTION_HEADING, .name = "With which rights"},
    {OPTION_TEXT, .name = "user", .argument = "NAME[:GROUP]", AT(user_text),
     .help = "once everything is open, become that user instead of root"},
    {OPTION_TEXT, .name = "no-harden", .argument = "LIST", AT(no_harden), .implied = "all",
     .help = "keep rights that are not needed: all (default) or some of\n"
             "no-new-privs, landlock, seccomp, uring-restrictions"},

    {OPTION_HEADING, .name = "What is told on standard error"},
    {OPTION_CHOICE, .name = "stats", .argument = "json|text|none", AT(stats),
     .help = "the sums at the end (default text)"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(progress_ms), .least = 100,
     .most = 3600000, .implied = "1",
     .help = "a live line: streams, bytes, rate, CPU (default: each second on\n"
             "a terminal that nothing else is printed on)"},
    {OPTION_FLAG, 'q', "quiet", AT(quiet), .help = "errors only"},
    {OPTION_FLAG, 'v', "verbose", AT(verbose),
     .help = "also what was chosen and why, and each stream's end"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

static int print_help(void)
{
    puts("Usage: lastbyte recv [options]\n\n"
         "Receives each stream until its end and hands every byte to a sink.");
    options_help(rows, stdout);
    puts("\nSinks:\n"
         "  print         each stream in one piece on standard output, after its end\n"
         "  stdout        as it comes, one stream at a time, the others wait\n"
         "  discard       received, then dropped\n"
         "  hash[:ALGO]   a line with digest, bytes, end and peer; xxh3 (default) or sha256\n"
         "  file:PATH     one stream into one file\n"
         "  dir:PATH      a file per stream, named by time and sequence\n"
         "  exec:COMMAND  a process per stream; what it prints goes back to the peer\n"
         "\nExamples:\n"
         "  lastbyte recv                                 print streams on port 1090\n"
         "  lastbyte recv --once --sink=stdout | tar x    unpack what one peer sends\n"
         "  lastbyte recv -l unix:/run/drop -s dir:drop   keep each stream in a file\n"
         "\nExit status: 0 every stream ended eof, 1 some did not, 2 usage, 3 could not start.");
    return command_printed();
}

/* Is there such a backend, usable here or not? */
static int check_backend(const char *name)
{
    struct lb_probe probe;
    char names[200] = "auto";

    if (strcmp(name, "auto") == 0)
        return STATUS_OK;
    lb_probe(&probe);
    for (size_t i = 0; i < probe.backends; i++) {
        size_t used = strlen(names);

        if (strcmp(name, probe.features[i].name) == 0)
            return STATUS_OK;
        snprintf(names + used, sizeof(names) - used, ", %s", probe.features[i].name);
    }
    console_tell("--backend=%s: no such backend; use one of %s", name, names);
    return STATUS_USAGE;
}

static bool has_socket_file(const struct option_list *listen)
{
    for (size_t i = 0; i < listen->count; i++)
        if (strncmp(listen->words[i], "unix:", strlen("unix:")) == 0 && listen->words[i][5] != '@')
            return true;
    return false;
}

static int check_admission(struct recv_settings *settings)
{
    if (admission_check_networks("allow", &settings->allow) ||
        admission_check_networks("deny", &settings->deny) ||
        admission_read_uids(&settings->allow_users, &settings->allow_uids))
        return STATUS_USAGE;
    if (!settings->unix_mode)
        return STATUS_OK;
    if (!has_socket_file(&settings->listen))
        return command_misused("--unix-mode: needs --listen=unix:PATH");
    return admission_read_mode(settings->unix_mode, &settings->mode) ? STATUS_USAGE : STATUS_OK;
}

/* What the table alone can't tell. */
static int check_settings(struct recv_settings *settings)
{
    struct lb_error error;

    if (settings->once && settings->count)
        return command_misused("--once: means --count=1; leave out one of the two");
    if (settings->quiet && settings->verbose)
        return command_misused("--quiet: contradicts --verbose; leave out one of the two");
    if (settings->quiet && settings->progress_ms)
        return command_misused("--quiet: contradicts --progress; leave out one of the two");
    if (settings->append && strncmp(settings->sink, "file:", strlen("file:")) != 0)
        return command_misused("--append: needs --sink=file:PATH");
    if (settings->spool_max && strncmp(settings->sink, "exec:", strlen("exec:")) != 0)
        return command_misused("--spool-max: needs --sink=exec:COMMAND");
    if (settings->no_fsync && settings->receipt == RECEIPT_NONE)
        return command_misused("--no-fsync: without --receipt nothing is synced; leave it out");
    if (settings->direct && strncmp(settings->sink, "file:", strlen("file:")) != 0 &&
        strncmp(settings->sink, "dir:", strlen("dir:")) != 0)
        return command_misused("--direct: needs --sink=file:PATH or --sink=dir:PATH");
    for (size_t i = 0; i < settings->listen.count; i++) {
        if (lb_address_check(settings->listen.words[i], &error)) {
            console_tell("--listen=%s", error.text); /* it begins with the address */
            return STATUS_USAGE;
        }
    }
    if (settings->min_rate_window_ms && !settings->min_rate)
        return command_misused("--min-rate-window: needs --min-rate");
    if (settings->rate_limit && settings->min_rate > settings->rate_limit)
        return command_misused("--min-rate: above --rate-limit; no stream could keep both");
    if (check_admission(settings) || check_backend(settings->backend))
        return STATUS_USAGE;
    if (harden_read(settings->harden_off, settings->no_harden))
        return STATUS_USAGE;
    if (settings->once)
        settings->count = 1;
    if (settings->stats == STATS_UNSET)
        settings->stats = settings->quiet ? STATS_NONE : STATS_TEXT;
    return STATUS_OK;
}

/* greeting has room for LB_GREETING_MAX bytes. */
static int read_greeting(const char *text, char *greeting, size_t *size)
{
    long used = value_unescape(text, greeting, LB_GREETING_MAX);

    if (used == -E2BIG)
        console_tell("--greeting: more than %d bytes; make it shorter", LB_GREETING_MAX);
    else if (used < 0)
        console_tell("--greeting=%s: unknown escape; use \\n, \\t or \\\\", text);
    if (used < 0)
        return STATUS_USAGE;
    *size = (size_t)used;
    return STATUS_OK;
}

static void on_note(void *context, enum lb_note_level level, const char *text)
{
    (void)context;
    (void)level;
    console_tell("%s", text);
}

static void fill_config(struct lb_config *config, const struct recv_settings *settings)
{
    static const char *const everywhere[] = {":1090", NULL};

    lb_config_init(config);
    config->listen = settings->listen.count ? settings->listen.words : everywhere;
    config->backend = settings->backend;
    config->workers = (unsigned)settings->workers;
    config->slot_size = settings->buffer_size;
    config->slots = (unsigned)settings->buffers;
    if (settings->max_streams)
        config->max_streams = (unsigned)settings->max_streams;
    config->backlog = (int)settings->backlog;
    config->rcvbuf = settings->rcvbuf;
    config->count = settings->count;
    config->receipt = receipt_names[settings->receipt];
    config->gather_max_us =
        settings->gather_max_us ? (unsigned)settings->gather_max_us : LB_NO_GATHER;
    config->max_bytes = settings->max_bytes;
    config->idle_timeout_ms = (unsigned)settings->idle_timeout_ms;
    config->max_time_ms = (unsigned)settings->max_time_ms;
    config->min_rate = settings->min_rate;
    config->min_rate_window_ms = (unsigned)settings->min_rate_window_ms;
    config->no_splice = settings->no_splice;
    config->rate_limit = settings->rate_limit;
    config->total_rate_limit = settings->total_rate_limit;
    config->keepalive_ms =
        settings->keepalive_ms ? (unsigned)settings->keepalive_ms : LB_NO_KEEPALIVE;
    config->max_streams_per_peer = (unsigned)settings->max_streams_per_peer;
    config->allow = settings->allow.words;
    config->deny = settings->deny.words;
    config->allow_uids = settings->allow_uids;
    config->allow_uid_count = settings->allow_users.count;
    config->unix_mode = settings->mode;
    config->drain_ms = settings->drain_ms ? (unsigned)settings->drain_ms : LB_NO_DRAIN;
    config->unrestricted = settings->harden_off[HARDEN_URING];
    config->note = settings->quiet ? NULL : on_note;
    config->note_level = settings->verbose ? LB_NOTE_DETAIL : LB_NOTE_WARNING;
}

static struct lb_engine *_Atomic running;
static atomic_uint signals_seen;

/* The first signal drains, the second stops at once; a third finds the default action, so that a
 * disk or a pipe that hangs can't keep the process. */
static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    lb_engine_stop(running);
    if (atomic_fetch_add(&signals_seen, 1) > 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
    }
    errno = saved;
}

static void catch_signals(struct lb_engine *engine)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    running = engine;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* The engine is about to go, and so are we. */
static void drop_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
}

static bool asks_for_any_port(const struct option_list *listen)
{
    for (size_t i = 0; i < listen->count; i++) {
        const char *address = listen->words[i];
        const char *colon = strrchr(address, ':');

        if (colon && strcmp(colon, ":0") == 0 && strncmp(address, "unix:", strlen("unix:")) != 0)
            return true;
    }
    return false;
}

static void tell_addresses(const struct lb_engine *engine)
{
    const char *address;

    for (size_t i = 0; (address = lb_engine_address(engine, i)); i++)
        console_print("listening on %s", address);
}

/* A live line that nobody asked for must not tear what the sink or its commands print. */
static int progress_interval_ms(const struct recv_settings *settings)
{
    static const char *const silent[] = {"discard", "file:", "dir:"};
    bool shared = isatty(STDOUT_FILENO) || strncmp(settings->sink, "exec:", strlen("exec:")) == 0;

    if (settings->progress_ms)
        return (int)settings->progress_ms;
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        shared = shared && strncmp(settings->sink, silent[i], strlen(silent[i])) != 0;
    return settings->quiet || shared || !isatty(STDERR_FILENO) ? -1 : 1000;
}

/* Waits for the end of the engine, showing progress. */
static int wait_for_end(struct lb_engine *engine, int interval_ms)
{
    struct progress progress;
    struct lb_stats stats;
    int error;

    progress_init(&progress);
    while ((error = lb_engine_wait(engine, interval_ms)) == -ETIMEDOUT) {
        lb_engine_stats(engine, &stats);
        progress_received(&progress, &stats);
    }
    console_wipe();
    return error;
}

static int report(const struct lb_engine *engine, unsigned form, double wall_seconds)
{
    struct lb_stats stats;

    lb_engine_stats(engine, &stats);
    if (form == STATS_TEXT)
        report_text(&stats, wall_seconds);
    if (form == STATS_JSON && report_json(&stats, wall_seconds))
        console_tell("--stats=json: out of memory");
    return stats.partial > 0 ? STATUS_FAILED : STATUS_OK;
}

/* Everything is open, and there is one thread: what needs privileges is over. */
static int give_up_rights(const struct lb_engine *engine, const struct recv_settings *settings,
                          const struct lb_config *config)
{
    struct harden harden = {
        .sink = settings->sink,
        .listen = config->listen,
        .backend = lb_engine_backend(engine),
    };
    int status = STATUS_OK;

    memcpy(harden.off, settings->harden_off, sizeof(harden.off));
    harden_prepare(&harden);
    if (settings->user_text)
        status = user_become(&settings->user);
    if (status == STATUS_OK && settings->user_text)
        status = harden_check_sink(&harden, settings->user_text);
    if (status == STATUS_OK) {
        harden_enforce(&harden);
        if (settings->verbose)
            harden_tell(&harden);
    }
    harden_done(&harden);
    return status;
}

static int run_engine(struct lb_engine *engine, const struct recv_settings *settings)
{
    double begin;
    int error;

    catch_signals(engine);
    if (!settings->quiet || asks_for_any_port(&settings->listen))
        tell_addresses(engine);
    begin = progress_clock();
    error = lb_engine_start(engine);
    if (error) {
        console_tell("the engine can't start: %s", strerror(-error));
        drop_signals();
        return STATUS_NO_START;
    }
    error = wait_for_end(engine, progress_interval_ms(settings));
    drop_signals();
    int status = report(engine, settings->stats, progress_clock() - begin);
    if (error) {
        console_tell("the engine failed: %s", strerror(-error));
        return STATUS_FAILED;
    }
    return status;
}

static int receive(const struct recv_settings *settings, struct lb_config *config)
{
    struct lb_sink_options sink_options = {.append = settings->append,
                                           .direct = settings->direct,
                                           .no_fsync = settings->no_fsync,
                                           .spool_max = settings->spool_max,
                                           .note = config->note,
                                           .note_context = config->note_context};
    struct lb_engine *engine;
    struct lb_error error;
    void *context;
    int status;

    /* A peer, a reader of ours or a limit on file sizes is told by the failing call. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    command_raise_limits();
    status = lb_sink_open(&config->sink, &context, settings->sink, &sink_options, &error);
    if (status) {
        console_tell("--sink: %s", error.text);
        return status == -EINVAL ? STATUS_USAGE : STATUS_NO_START;
    }
    config->sink_context = context;
    status = lb_engine_open(&engine, config, &error);
    if (status) {
        console_tell("%s", error.text);
        status = status == -EINVAL ? STATUS_USAGE : STATUS_NO_START;
    } else {
        status = give_up_rights(engine, settings, config);
        if (status == STATUS_OK)
            status = run_engine(engine, settings);
        lb_engine_close(engine);
    }
    lb_sink_close(config->sink, context);
    return status;
}

static int configure(struct recv_settings *settings)
{
    char greeting[LB_GREETING_MAX];
    struct lb_config config;
    int status = systemd_sockets_take(&settings->listen);

    if (status == STATUS_OK)
        status = check_settings(settings);
    if (status == STATUS_OK && settings->user_text)
        status = user_find(&settings->user, settings->user_text);
    if (status)
        return status;
    fill_config(&config, settings);
    status = read_greeting(settings->greeting, greeting, &config.greeting_size);
    if (status)
        return status;
    if (config.greeting_size)
        config.greeting = greeting;
    return receive(settings, &config);
}

int recv_command(int argc, char **argv)
{
    struct recv_settings settings = {.backend = "auto",
                                     .sink = "print",
                                     .receipt = RECEIPT_NONE,
                                     .greeting = "",
                                     .drain_ms = 10000,
                                     .keepalive_ms = 120000,
                                     .gather_max_us = 1000,
                                     .stats = STATS_UNSET};
    int status = STATUS_USAGE;
    int operand = options_read(rows, argc, argv, &settings);

    if (operand >= 0 && settings.help)
        status = print_help();
    else if (operand >= 0 && settings.version)
        status = command_version();
    else if (operand >= 0 && operand < argc)
        console_tell("%s: recv takes only options; to listen there: --listen=%s", argv[operand],
                     argv[operand]);
    else if (operand >= 0)
        status = configure(&settings);
    free(settings.listen.words);
    user_done(&settings.user);
    free(settings.allow.words);
    free(settings.deny.words);
    free(settings.allow_users.words);
    free(settings.allow_uids);
    return status;
}
