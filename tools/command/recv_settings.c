/* SPDX-License-Identifier: MIT */
#include "recv_settings.h"

#include "admission.h"
#include "build_features.h"
#include "command.h"
#include "console.h"
#include "event_log.h"
#include "help.h"
#include "own_sink.h"
#include "recv_tls.h"
#include "seal_key.h"
#include "systemd_sockets.h"
#include "value.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIME_MS_MAX = 1000000000,
    LIMIT_MS_MIN = 10,
    RATE_MIN = 1024, /* bytes a second */
};

/* What --backend may be: what the library has, or the choice of it. */
static bool describe_backend(size_t index, struct lb_description *backend)
{
    if (index > 0)
        return lb_backend_describe(index - 1, backend);
    backend->name = "auto";
    backend->help = "the best that works";
    return true;
}

#define AT(member) OPTION_AT(struct recv_settings, member)

const struct option_row recv_options[] = {
    {OPTION_HEADING, .name = "From where, and where to"},
    {OPTION_LIST, 'l', "listen", "ADDR", AT(listen),
     .help = "HOST:PORT, :PORT, [V6]:PORT, unix:PATH, unix:@NAME (abstract),\n"
             "fd:N or systemd[:NAME]; may repeat; port 0 is any free one\n"
             "(default: systemd's sockets if there are any, else :1090)"},
    {OPTION_TEXT, 's', "sink", "SPEC", AT(sink), .values = sink_describe,
     .help = "where each stream's bytes go (default print); see below"},
    {OPTION_FLAG, .name = "append", AT(sink_options.append),
     .help = "file: add each complete stream to the end of the file"},
    {OPTION_FLAG, .name = "direct", AT(sink_options.direct),
     .help = "file, dir: write past the page cache (O_DIRECT), and leave it to\n"
             "others; for backups"},
    {OPTION_WORD, .name = "receipt", .argument = "xxh3|sha256", AT(config.receipt),
     .implied = "xxh3",
     .help = "once a stream is safe in the sink, send its sender a line:\n"
             "ok BYTES ALGO:DIGEST ID; else error REASON BYTES"},
    {OPTION_FLAG, .name = "seal", AT(config.seal),
     .help = "only sealed streams are taken (send --seal): the seal is checked\n"
             "and taken off; what was cut on the way ends truncated"},
    {OPTION_TEXT, .name = "seal-key", .argument = "FILE", AT(seal_key_path),
     .help = "the same, and only those that were sealed by the key in FILE"},
    {OPTION_FLAG, .name = "no-fsync", AT(sink_options.no_fsync),
     .help = "file, dir: don't sync before the line; faster, but what it calls\n"
             "safe may be lost when the machine crashes"},
    {OPTION_SIZE, .name = "spool-max", .argument = "SIZE", AT(sink_options.spool_max), .least = 1,
     .most = INT64_MAX,
     .help = "exec: a command may print SIZE bytes before its input ends\n"
             "(default 1G); they wait on disk"},
    {OPTION_SIZE, .name = "spool-total", .argument = "SIZE", AT(sink_options.spool_total),
     .least = 1, .most = INT64_MAX / 2,
     .help = "print, exec: SIZE bytes of all streams may wait on disk (default 1G);\n"
             "with more the largest ends limit"},
#ifdef HAVE_S3
    {OPTION_SIZE, .name = "s3-memory", .argument = "SIZE", AT(s3.memory), .least = 10 << 20,
     .most = 1ull << 40, .help = "s3: of all streams (default 256M); with less free, streams wait"},
    {OPTION_SIZE, .name = "s3-part-size", .argument = "SIZE", AT(s3.part_size),
     .least = S3_PART_LEAST, .most = S3_PART_MOST,
     .help = "s3: a stream's first part (default 8M); parts grow with the stream"},
    {OPTION_COUNT, .name = "s3-max-parts", .argument = "N", AT(s3.max_parts), .least = 1,
     .most = S3_PARTS_MOST, .help = "s3: parts of an object, as the store allows (default 10000)"},
    {OPTION_SECONDS, .name = "s3-timeout", .argument = "SECONDS", AT(s3.timeout_ms), .least = 1000,
     .most = TIME_MS_MAX,
     .help = "s3: a part, and what is left at a stream's end, may be tried for\n"
             "so long (default 300)"},
    {OPTION_FLAG, .name = "s3-unsigned", AT(s3.unsigned_payload),
     .help = "s3: over https, don't sign what is sent; TLS alone protects it"},
    {OPTION_TEXT, .name = "s3-id", .argument = "MARK", AT(s3.id),
     .help = "s3: how this receiver marks its keys (default: kept in its state\n"
             "directory)"},
#endif
    {OPTION_TEXT, .name = "greeting", .argument = "TEXT", AT(greeting_text),
     .help = "send TEXT on accept; \\n, \\t and \\\\ are understood"},

    {OPTION_HEADING, .name = "How long"},
    {OPTION_COUNT, 'n', "count", "N", AT(config.count), .least = 1, .most = INT64_MAX,
     .help = "stop after N streams have ended (default: never)"},
    {OPTION_FLAG, .name = "once", AT(once), .help = "the same as --count=1"},
    {OPTION_FLAG, .name = "ignore-empty", AT(config.ignore_empty),
     .help = "a connection that closes without a byte, as port checks do, is no\n"
             "stream"},
    {OPTION_SECONDS, .name = "drain", .argument = "SECONDS", AT(config.drain_ms),
     .most = TIME_MS_MAX, .none = LB_NO_DRAIN,
     .help = "how long streams under way may go on after SIGINT or SIGTERM\n"
             "(default 10; 0: not at all)"},

    {OPTION_HEADING, .name = "How"},
    {OPTION_TEXT, 'b', "backend", "NAME", AT(config.backend), .values = describe_backend,
     .help = "auto (default: the best that works), or one of those below"},
    {OPTION_COUNT, 'w', "workers", "N", AT(config.workers), .least = 1, .most = LB_WORKERS_MAX,
     .help = "threads (default: one per usable core, unless the backend says\n"
             "otherwise below)"},
    {OPTION_TEXT, .name = "cpus", .argument = "LIST", AT(config.cpus),
     .help = "run the workers on these cores, 0-3,8; and by default as many"},
    {OPTION_SIZE, .name = "buffer-size", .argument = "SIZE", AT(config.slot_size), .least = 1,
     .most = LB_SLOT_SIZE_MAX, .help = "bytes of one slot of the pool; sizes take K, M or G"},
    {OPTION_COUNT, .name = "buffers", .argument = "N", AT(config.slots), .least = 1,
     .most = LB_SLOTS_MAX, .help = "slots of the pool of each worker"},
    {OPTION_COUNT, .name = "max-streams", .argument = "N", AT(config.max_streams), .least = 1,
     .most = LB_STREAMS_MAX,
     .help = "streams at a time; further peers wait in the backlog\n"
             "(default 10000)"},
    {OPTION_COUNT, .name = "backlog", .argument = "N", AT(config.backlog), .least = 1,
     .most = INT_MAX, .help = "peers that may wait for accept (default: what the system allows)"},
    {OPTION_SIZE, .name = "rcvbuf", .argument = "SIZE", AT(config.rcvbuf), .least = 1,
     .most = INT_MAX, .help = "receive buffer of each socket (default: the kernel's own tuning)"},

    {OPTION_CHOICE, .name = "tune", .argument = "balanced|save-cpu|latency", AT(config.tune),
     .help = "when bytes may gather before receiving: while a worker is short of\n"
             "time (default), whenever that saves processor time, or never"},
    {OPTION_TIME, .name = "gather-max", .argument = "TIME", AT(config.gather_max_us),
     .most = LB_GATHER_US_MAX, .none = LB_NO_GATHER,
     .help = "and for how long at most (default 1ms; 0: never)"},
    {OPTION_FLAG, .name = "no-splice", AT(config.no_splice),
     .help = "let every byte come through user space, also where the sink is\n"
             "only a file or a pipe"},

    {OPTION_HEADING, .name = "Limits, each ending only its own stream (default: none)"},
    {OPTION_SIZE, .name = "max-bytes", .argument = "SIZE", AT(config.max_bytes), .least = 1,
     .most = INT64_MAX, .help = "a stream may have SIZE bytes; with more it ends limit"},
    {OPTION_SECONDS, .name = "idle-timeout", .argument = "SECONDS", AT(config.idle_timeout_ms),
     .least = LIMIT_MS_MIN, .most = TIME_MS_MAX,
     .help = "without a byte for so long it ends timeout"},
    {OPTION_SECONDS, .name = "max-time", .argument = "SECONDS", AT(config.max_time_ms),
     .least = LIMIT_MS_MIN, .most = TIME_MS_MAX,
     .help = "without its EOF after so long it ends timeout"},
    {OPTION_SIZE, .name = "min-rate", .argument = "SIZE", AT(config.min_rate), .least = 1,
     .most = INT64_MAX, .help = "with fewer bytes a second over a window it ends limit"},
    {OPTION_SECONDS, .name = "min-rate-window", .argument = "SECONDS",
     AT(config.min_rate_window_ms), .least = LIMIT_MS_MIN, .most = TIME_MS_MAX,
     .help = "that window (default 10)"},
    {OPTION_SIZE, .name = "rate-limit", .argument = "SIZE", AT(config.rate_limit),
     .least = RATE_MIN, .most = INT64_MAX,
     .help = "receive at most so many bytes a second of a stream"},
    {OPTION_SIZE, .name = "total-rate-limit", .argument = "SIZE", AT(config.total_rate_limit),
     .least = RATE_MIN, .most = INT64_MAX, .help = "receive at most so many bytes a second in all"},
    {OPTION_SECONDS, .name = "keepalive", .argument = "SECONDS", AT(config.keepalive_ms),
     .most = LB_KEEPALIVE_MS_MAX, .none = LB_NO_KEEPALIVE,
     .help = "a TCP peer whose machine is silent for so long has vanished\n"
             "(default 120; 0: never ask it)"},
    {OPTION_SECONDS, .name = "handshake-timeout", .argument = "SECONDS",
     AT(config.handshake_timeout_ms), .least = LIMIT_MS_MIN, .most = TIME_MS_MAX,
     .help = "for what comes before a stream (--proxy-protocol, --tls): a peer that\n"
             "takes longer is turned away (default 10)"},
    {OPTION_COUNT, .name = "max-handshakes", .argument = "N", AT(config.max_handshakes), .least = 1,
     .most = LB_HANDSHAKES_MAX,
     .help = "so many peers at a time may be there; others wait (default 256)"},

#ifdef HAVE_TLS
    {OPTION_HEADING, .name = "TLS"},
    {OPTION_FLAG, .name = "tls", AT(config.tls),
     .help = "streams come through TLS (send --tls); what was cut on the way ends\n"
             "truncated. Makes a key once, and prints its pin for senders"},
    {OPTION_TEXT, .name = "tls-cert", .argument = "FILE", AT(config.tls_cert),
     .help = "use this certificate, a chain in PEM, instead"},
    {OPTION_TEXT, .name = "tls-key", .argument = "FILE", AT(config.tls_key),
     .help = "and its key, in PEM; changed files are taken up"},
    {OPTION_TEXT, .name = "tls-dir", .argument = "DIR", AT(tls_dir),
     .help = "keep the key there (default $STATE_DIRECTORY, else\n"
             "lastbyte in $XDG_STATE_HOME or ~/.local/state)"},
    {OPTION_WORD, .name = "tls-min", .argument = "1.2|1.3", AT(config.tls_min),
     .help = "the least version (default 1.3)"},
    {OPTION_WORD, .name = "tls-records", .argument = "own|libssl", AT(config.tls_records),
     .help = "who deciphers what comes: own code where it can, which takes less\n"
             "processor time (default), or libssl alone"},
    {OPTION_TEXT, .name = "tls-client-ca", .argument = "FILE", AT(config.tls_client_ca),
     .help = "only senders with a certificate by a CA in FILE"},
    {OPTION_LIST, .name = "allow-pin", .argument = "PIN|@FILE", AT(allow_pin),
     .help = "only senders with this key, sha256//BASE64 (lastbyte pin), or one\n"
             "of those in FILE; may repeat"},
    {OPTION_TEXT, .name = "tls-psk", .argument = "FILE", AT(config.tls_psk),
     .help = "only senders with a pre-shared key of FILE, lines IDENTITY:HEXKEY;\n"
             "of these three any one will do"},
    {OPTION_FLAG, .name = "tls-allow-fin", AT(config.tls_allow_fin),
     .help = "for clients that can't end a stream in TLS (close_notify): take the\n"
             "connection's EOF for it, which anybody on the way can make"},
#endif

    {OPTION_HEADING, .name = "Who may come in (default: everyone)"},
    {OPTION_LIST, .name = "allow", .argument = "CIDR", AT(allow),
     .help = "TCP peers of this network, 192.0.2.0/24 or 2001:db8::/32, and no\n"
             "others; may repeat"},
    {OPTION_LIST, .name = "deny", .argument = "CIDR", AT(deny),
     .help = "not TCP peers of this network, whatever --allow says; may repeat"},
    {OPTION_LIST, .name = "allow-uid", .argument = "USER", AT(allow_users),
     .help = "this user at Unix sockets, by number or name, and no others;\n"
             "may repeat"},
    {OPTION_MODE, .name = "unix-mode", .argument = "MODE", AT(config.unix_mode), .least = 1,
     .most = 0777, .help = "permissions of the socket of unix:PATH, in octal (default: umask)"},
    {OPTION_COUNT, .name = "max-streams-per-peer", .argument = "N", AT(config.max_streams_per_peer),
     .least = 1, .most = LB_STREAMS_MAX,
     .help = "streams at a time of one address (of IPv6: one /64), or one user\n"
             "of a Unix socket"},
    {OPTION_LIST, .name = "proxy-protocol", .argument = "CIDR", AT(fronts),
     .help = "TCP peers of this network, or with \"unix\" those of Unix sockets,\n"
             "are fronts, and have to say by the PROXY protocol for whom they\n"
             "come; may repeat"},

    {OPTION_HEADING, .name = "With which rights"},
    {OPTION_TEXT, .name = "user", .argument = "NAME[:GROUP]", AT(user_text),
     .help = "once everything is open, become that user instead of root"},
    {OPTION_TEXT, .name = "no-harden", .argument = "LIST", AT(no_harden), .implied = "all",
     .values = harden_describe,
     .help = "keep rights that are not needed: all (default) or some of\n"
             "no-new-privs, no-dump, landlock, seccomp, uring-restrictions"},

#ifdef HAVE_METRICS
    {OPTION_HEADING, .name = "What is told to who asks"},
    {OPTION_TEXT, .name = "metrics", .argument = "ADDR", AT(metrics),
     .help = "for Prometheus, over HTTP at /metrics; forms as of --listen"},
#endif

    {OPTION_HEADING, .name = "What is told on standard error"},
    {OPTION_CHOICE, .name = "log", .argument = "text|json", AT(log),
     .help = "what happens meanwhile: for people (default), or one JSON object\n"
             "a line"},
    {OPTION_CHOICE, .name = "stats", .argument = "json|text|none", AT(stats),
     .help = "the sums at the end (default text)"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(progress_ms), .least = 100,
     .most = 3600000, .implied = "1",
     .help = "a live line: streams, bytes, rate, CPU (default: each second on\n"
             "a terminal that nothing else is printed on)"},
    {OPTION_SIZE, .name = "size", .argument = "SIZE", AT(size), .least = 1, .most = INT64_MAX,
     .help = "how much will come in all: the live line has a bar, and tells how\n"
             "long it will take"},
    {OPTION_FLAG, 'q', "quiet", AT(quiet), .help = "errors only"},
    {OPTION_FLAG, 'v', "verbose", AT(verbose),
     .help = "also what was chosen and why, and each stream's end"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

int recv_settings_help(void)
{
    puts("Usage: lastbyte recv [options]\n\n"
         "Receives each stream until its end and hands every byte to a sink.");
    options_help(recv_options, stdout);
    help_list("Sinks", sink_describe);
    help_list("Backends, best first", lb_backend_describe);
    puts("\nExamples:\n"
         "  lastbyte recv                                 print streams on port 1090\n"
         "  lastbyte recv --once --sink=stdout | tar x    unpack what one peer sends\n"
         "  lastbyte recv -l unix:/run/drop -s dir:drop   keep each stream in a file\n"
         "\nExit status: 0 every stream ended eof, 1 some did not, 2 usage, 3 could not start.");
    return command_printed();
}

static void on_note(void *context, enum lb_note_level level, const char *text)
{
    (void)context;
    (void)level;
    console_tell("%s", text);
}

/* Is there such a backend, usable here or not? */
static int check_backend(const char *name)
{
    struct lb_description backend = {LB_DESCRIPTION_INIT};
    char names[200] = "";

    for (size_t i = 0; describe_backend(i, &backend); i++) {
        size_t used = strlen(names);

        if (strcmp(name, backend.name) == 0)
            return STATUS_OK;
        snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "", backend.name);
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

static int check_sink(const char *specification)
{
    return features_tell_sink(specification) ? STATUS_USAGE : STATUS_OK;
}

static int check_addresses(const struct recv_settings *settings)
{
    struct lb_error error = {LB_ERROR_INIT};

    for (size_t i = 0; i < settings->listen.count; i++) {
        if (lb_address_check(settings->listen.words[i], &error)) {
            console_tell("--listen=%s", error.text); /* it begins with the address */
            return STATUS_USAGE;
        }
    }
    if (settings->metrics && lb_address_check(settings->metrics, &error)) {
        console_tell("--metrics=%s", error.text);
        return STATUS_USAGE;
    }
    if (settings->config.unix_mode && !has_socket_file(&settings->listen))
        return command_misused("--unix-mode: needs --listen=unix:PATH");
    return STATUS_OK;
}

/* What no option can tell alone. */
static int check_together(const struct recv_settings *settings)
{
    const struct lb_config *config = &settings->config;

    if (settings->once && config->count)
        return command_misused("--once: means --count=1; leave out one of the two");
    if (settings->quiet && settings->verbose)
        return command_misused("--quiet: contradicts --verbose; leave out one of the two");
    if (settings->quiet && settings->progress_ms)
        return command_misused("--quiet: contradicts --progress; leave out one of the two");
    if (settings->sink_options.no_fsync && !config->receipt)
        return command_misused("--no-fsync: without --receipt nothing is synced; leave it out");
    if (config->min_rate_window_ms && !config->min_rate)
        return command_misused("--min-rate-window: needs --min-rate");
    if (config->rate_limit && config->min_rate > config->rate_limit)
        return command_misused("--min-rate: above --rate-limit; no stream could keep both");
    return STATUS_OK;
}

static int read_greeting(struct recv_settings *settings)
{
    const char *text = settings->greeting_text;
    long used = value_unescape(text, settings->greeting, sizeof(settings->greeting));

    if (used == -E2BIG)
        console_tell("--greeting: more than %d bytes; make it shorter", LB_GREETING_MAX);
    else if (used < 0)
        console_tell("--greeting=%s: unknown escape; use \\n, \\t or \\\\", text);
    if (used < 0)
        return STATUS_USAGE;
    settings->config.greeting = used ? settings->greeting : NULL;
    settings->config.greeting_size = (size_t)used;
    return STATUS_OK;
}

static int read_admission(struct recv_settings *settings)
{
    if (admission_check_networks("allow", &settings->allow, NULL) ||
        admission_check_networks("deny", &settings->deny, NULL) ||
        admission_check_networks("proxy-protocol", &settings->fronts, "unix") ||
        admission_read_uids(&settings->allow_users, &settings->allow_uids))
        return STATUS_USAGE;
    settings->config.allow = settings->allow.words;
    settings->config.deny = settings->deny.words;
    settings->config.proxy_protocol = settings->fronts.words;
    settings->config.allow_uids = settings->allow_uids;
    settings->config.allow_uid_count = settings->allow_users.count;
    return STATUS_OK;
}

/* Now, as whoever we become may have no right to. */
static int read_seal_key(struct recv_settings *settings)
{
    struct lb_config *config = &settings->config;
    int status = seal_key_read(&settings->seal_key, settings->seal_key_path);

    config->seal = true;
    config->seal_key = settings->seal_key.data;
    config->seal_key_size = settings->seal_key.size;
    return status;
}

static int check(struct recv_settings *settings)
{
    int status = systemd_sockets_take(&settings->listen);

    if (status == STATUS_OK)
        status = check_together(settings);
    if (status == STATUS_OK)
        status = check_addresses(settings);
    if (status == STATUS_OK)
        status = check_backend(settings->config.backend);
    if (status == STATUS_OK)
        status = check_sink(settings->sink);
    if (status == STATUS_OK)
        status = read_admission(settings);
    if (status == STATUS_OK)
        status = harden_read(settings->harden_off, settings->no_harden);
    if (status == STATUS_OK)
        status = read_greeting(settings);
    if (status == STATUS_OK && settings->user_text)
        status = user_find(&settings->user, settings->user_text);
    if (status == STATUS_OK && settings->seal_key_path)
        status = read_seal_key(settings);
    if (status == STATUS_OK)
        status = recv_tls_read(settings);
    return status;
}

/* The rest of the configuration. */
static void finish(struct recv_settings *settings)
{
    struct lb_config *config = &settings->config;

    if (settings->listen.count)
        config->listen = settings->listen.words;
    if (settings->once)
        config->count = 1;
    if (settings->stats == STATS_UNSET)
        settings->stats = settings->quiet ? STATS_NONE : STATS_TEXT;
    config->unrestricted = settings->harden_off[HARDEN_URING];
    config->note = settings->quiet ? NULL : settings->log == LOG_JSON ? event_log_note : on_note;
    config->event = settings->log == LOG_JSON ? event_log_event : NULL;
    config->note_level = settings->verbose ? LB_NOTE_DETAIL : LB_NOTE_WARNING;
    settings->sink_options.note = config->note;
}

int recv_settings_read(struct recv_settings *settings, int argc, char **argv)
{
    int operand, status;

    *settings = (struct recv_settings){.sink = "print",
                                       .sink_options = {LB_SINK_OPTIONS_INIT},
                                       .greeting_text = "",
                                       .stats = STATS_UNSET};
    lb_config_init(&settings->config);
    operand = options_read(recv_options, argc, argv, settings);
    if (operand < 0)
        return STATUS_USAGE;
    if (settings->help || settings->version)
        return STATUS_OK;
    if (operand < argc) {
        console_tell("%s: recv takes only options; to listen there: --listen=%s", argv[operand],
                     argv[operand]);
        return STATUS_USAGE;
    }
    status = check(settings);
    if (status == STATUS_OK)
        finish(settings);
    return status;
}

void recv_settings_done(struct recv_settings *settings)
{
    user_done(&settings->user);
    seal_key_done(&settings->seal_key);
    recv_tls_done(settings);
    free(settings->listen.words);
    free(settings->allow.words);
    free(settings->deny.words);
    free(settings->fronts.words);
    free(settings->allow_users.words);
    free(settings->allow_uids);
}
