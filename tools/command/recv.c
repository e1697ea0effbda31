/* SPDX-License-Identifier: MIT */
#include "command.h"
#include "console.h"
#include "harden.h"
#include "metrics.h"
#include "notify.h"
#include "own_sink.h"
#include "progress.h"
#include "recv_settings.h"
#include "recv_tls.h"
#include "report.h"
#include "user.h"
#include "value.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct lb_engine *_Atomic running;
static atomic_uint signals_seen;

/* How long after a second signal a disk or a pipe that hangs can keep the process. */
enum { STOP_SECONDS = 5 };

/* Streams that were being stored end as if this process had been killed: nobody was told that they
 * are safe. */
static void on_alarm(int number)
{
    static const char text[] = "lastbyte: what was being stored at the second signal does not end: "
                               "left as it is\n";
    struct pollfd poller = {.fd = STDERR_FILENO, .events = POLLOUT};

    (void)number;
    if (poll(&poller, 1, 0) > 0)
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(STATUS_FAILED);
}

/* The first signal drains, the second stops at once; a third finds the default action. */
static void on_signal(int number)
{
    int saved = errno;
    unsigned before = atomic_fetch_add(&signals_seen, 1);

    lb_engine_stop(running);
    notify_stopping();
    if (before > 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(number, SIG_DFL); /* SIGHUP, which may be one that is ignored */
    }
    if (before == 1) {
        signal(SIGALRM, on_alarm);
        alarm(STOP_SECONDS);
    }
    errno = saved;
}

/* Nothing can be printed any more, and that does not change: whoever waits for us shall know. */
static void on_output_lost(void *context)
{
    (void)context;
    lb_engine_stop(running);
    lb_engine_stop(running);
}

static void catch_signals(struct lb_engine *engine)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction before;

    running = engine;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A terminal that has gone, unless nohup(1) was told that this doesn't matter. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

/* The engine is about to go, and so are we. */
static void drop_signals(void)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static bool asks_for_any_port(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon && strcmp(colon, ":0") == 0 && strncmp(address, "unix:", strlen("unix:")) != 0;
}

/* Nobody could know the port otherwise. */
static bool has_to_tell_addresses(const struct recv_settings *settings)
{
    const char *metrics = settings->metrics;
    bool any = metrics && asks_for_any_port(metrics);

    for (size_t i = 0; i < settings->listen.count; i++)
        any = any || asks_for_any_port(settings->listen.words[i]);
    return any;
}

static void tell_addresses(const struct lb_engine *engine, const struct metrics *metrics)
{
    const char *address;

    if (metrics)
        metrics_tell(metrics);
    for (size_t i = 0; (address = lb_engine_address(engine, i)); i++)
        console_first("listening on %s", address);
}

/* A live line that nobody asked for must not tear what the sink or its programs print. */
static int progress_interval_ms(const struct recv_settings *settings)
{
    unsigned needs = settings->config.sink->needs;
    bool shared = needs & LB_NEEDS_PROGRAMS || (needs & LB_NEEDS_OUTPUT && isatty(STDOUT_FILENO));

    if (settings->progress_ms)
        return settings->progress_ms;
    return settings->quiet || shared || !console_columns() ? -1 : 1000;
}

static void tell_systemd(const struct lb_stats *stats)
{
    char status[160], amount[VALUE_TEXT_SIZE];

    value_amount_text((double)stats->bytes, amount);
    snprintf(status, sizeof(status), "%s%" PRIu64 " stream%s under way, %" PRIu64 " ended, %s",
             signals_seen ? "stopping: " : "", stats->active, stats->active == 1 ? "" : "s",
             stats->streams, amount);
    notify_alive(status);
}

/* What is done again and again while we wait. */
struct chore {
    int interval_ms; /* negative: never */
    double next;
};

static bool is_due(struct chore *chore, double now)
{
    if (chore->interval_ms < 0 || now < chore->next)
        return false;
    chore->next = now + chore->interval_ms / 1000.0;
    return true;
}

/* Waits for the end of the engine, showing progress and telling systemd that all is well. */
static int wait_for_end(struct lb_engine *engine, int progress_ms, uint64_t size)
{
    struct chore show = {progress_ms, 0}, notify = {notify_interval_ms(), 0};
    bool notify_first =
        progress_ms < 0 || (notify.interval_ms >= 0 && notify.interval_ms < progress_ms);
    int interval_ms = notify_first ? notify.interval_ms : progress_ms;
    struct progress progress;
    struct lb_stats stats = {LB_STATS_INIT};
    int error;

    progress_init(&progress, size);
    while ((error = lb_engine_wait(engine, interval_ms)) == -ETIMEDOUT) {
        double now = progress_clock();

        lb_engine_stats(engine, &stats);
        if (is_due(&show, now))
            progress_received(&progress, &stats);
        if (is_due(&notify, now))
            tell_systemd(&stats);
    }
    console_wipe();
    return error;
}

static int report(const struct lb_engine *engine, enum stats_form form, double wall_seconds)
{
    struct lb_stats stats = {LB_STATS_INIT};

    lb_engine_stats(engine, &stats);
    if (form == STATS_TEXT)
        report_text(&stats, wall_seconds);
    if (form == STATS_JSON && report_json(&stats, wall_seconds))
        console_tell("--stats=json: out of memory");
    return stats.partial > 0 ? STATUS_FAILED : STATUS_OK;
}

/* The sink was opened with other rights than those that it will be used with, and by another user
 * perhaps. */
static int check_sink(const struct recv_settings *settings)
{
    const struct lb_sink *sink = settings->config.sink;
    struct lb_error error = {LB_ERROR_INIT};
    const char *user = settings->user_text;

    if (!sink->check || sink->check(settings->config.sink_context, &error) == 0)
        return STATUS_OK;
    console_tell("%s%s%s--sink=%s: %s", user ? "--user=" : "", user ? user : "", user ? ": " : "",
                 settings->sink, error.text);
    return STATUS_NO_START;
}

/* Everything is open, and there is one thread: what needs privileges is over. */
static int give_up_rights(const struct lb_engine *engine, const struct recv_settings *settings)
{
    struct harden harden = {
        .sink = settings->config.sink,
        .sink_context = settings->config.sink_context,
        .listen = settings->config.listen,
        .metrics = settings->metrics,
        .reread = settings->tls_reread,
        .backend = lb_engine_backend(engine),
    };
    int status = STATUS_OK;

    memcpy(harden.off, settings->harden_off, sizeof(harden.off));
    harden_prepare(&harden);
    if (settings->user_text)
        status = user_become(&settings->user);
    if (status == STATUS_OK) {
        harden_begin(&harden);
        status = check_sink(settings);
    }
    if (status == STATUS_OK) {
        harden_enforce(&harden);
        if (!settings->quiet)
            recv_tls_check_reread(settings);
        if (settings->verbose)
            harden_tell(&harden);
    }
    harden_done(&harden);
    return status;
}

static int run_engine(struct lb_engine *engine, const struct recv_settings *settings,
                      struct metrics *metrics)
{
    double begin;
    int error;

    if (metrics && metrics_start(metrics, engine) != STATUS_OK)
        return STATUS_NO_START;
    catch_signals(engine);
    begin = progress_clock();
    error = console_begin();
    if (error == 0)
        error = lb_engine_start(engine);
    if (error) {
        console_tell("the engine can't start: %s%s", strerror(-error),
                     error == -EAGAIN ? "; this user may have no more threads (ulimit -u)" : "");
        drop_signals();
        return STATUS_NO_START;
    }
    if (settings->tls_pin[0] && !settings->quiet)
        console_first("pin %s", settings->tls_pin);
    if (!settings->quiet || has_to_tell_addresses(settings))
        tell_addresses(engine, metrics);
    console_release();
    notify_ready();
    error = wait_for_end(engine, progress_interval_ms(settings), settings->size);
    drop_signals();
    int status = report(engine, settings->stats, progress_clock() - begin);
    if (error) {
        console_tell("the engine failed: %s", strerror(-error));
        return STATUS_FAILED;
    }
    return status;
}

/* metrics, which may be NULL, goes before the engine that it tells of. */
static int serve(const struct recv_settings *settings, struct metrics *metrics)
{
    struct lb_engine *engine = NULL;
    struct lb_error error = {LB_ERROR_INIT};
    int status = lb_engine_open(&engine, &settings->config, &error);

    if (status) {
        console_tell("%s", error.text);
        status = status == -EINVAL ? STATUS_USAGE : STATUS_NO_START;
    } else {
        status = give_up_rights(engine, settings);
        if (status == STATUS_OK)
            status = run_engine(engine, settings, metrics);
    }
    metrics_close(metrics);
    lb_engine_close(engine);
    return status;
}

static int receive(struct recv_settings *settings)
{
    struct lb_config *config = &settings->config;
    struct metrics *metrics = NULL;
    struct lb_error error = {LB_ERROR_INIT};
    const struct own_sink *own;
    int status;

    /* A peer, a reader of ours or a limit on file sizes is told by the failing call. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    notify_open();
    settings->sink_options.output_lost = on_output_lost;
    /* Before the limits are raised: the programs of a sink have those that we were started with. */
    status = sink_open(&own, &config->sink, &config->sink_context, settings->sink, &settings->s3,
                       &settings->sink_options, &error);
    if (status == -EBADF && command_output_closed()) {
        console_tell("--sink=%s: standard output is closed; open it (>/dev/null, say), or choose a "
                     "sink that doesn't need it",
                     settings->sink);
        return STATUS_NO_START;
    }
    if (status) {
        console_tell("--sink: %s", error.text);
        return status == -EINVAL ? STATUS_USAGE : STATUS_NO_START;
    }
    command_raise_limits();
    if (settings->metrics)
        status = metrics_open(&metrics, settings->metrics);
    if (status == STATUS_OK)
        status = serve(settings, metrics);
    sink_close(own, config->sink, config->sink_context);
    return status;
}

int recv_command(int argc, char **argv)
{
    struct recv_settings settings;
    int status = recv_settings_read(&settings, argc, argv);

    if (status == STATUS_OK && settings.help)
        status = recv_settings_help();
    else if (status == STATUS_OK && settings.version)
        status = command_version();
    else if (status == STATUS_OK) {
        console_hold();
        status = receive(&settings);
        console_end();
    }
    recv_settings_done(&settings);
    return status;
}
