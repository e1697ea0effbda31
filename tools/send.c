/* SPDX-License-Identifier: MIT */
#include "answer.h"
#include "command.h"
#include "console.h"
#include "exchange.h"
#include "input.h"
#include "options.h"
#include "progress.h"
#include "value.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARALLEL_MAX = 1024, PAUSE_FIRST_MS = 250, PAUSE_MAX_MS = 10000 };

struct send_settings {
    const char *text;
    bool concat;
    uint64_t connect_timeout_ms, retries, parallel, progress_ms;
    bool quiet, verbose, help, version;
};

#define AT(member) .offset = offsetof(struct send_settings, member)

static const struct option_row rows[] = {
    {OPTION_HEADING, .name = "What"},
    {OPTION_TEXT, .name = "text", .argument = "TEXT", AT(text),
     .help = "send TEXT as it is, and no file"},
    {OPTION_FLAG, .name = "concat", AT(concat),
     .help = "send all files in one stream, one behind the other"},

    {OPTION_HEADING, .name = "How"},
    {OPTION_COUNT, .name = "parallel", .argument = "N", AT(parallel), .least = 1,
     .most = PARALLEL_MAX, .help = "send up to N streams at a time (default 1)"},
    {OPTION_SECONDS, .name = "connect-timeout", .argument = "SECONDS", AT(connect_timeout_ms),
     .least = 1, .most = 86400000,
     .help = "give up connecting after SECONDS (default: the kernel's limit)"},
    {OPTION_COUNT, .name = "retry", .argument = "N", AT(retries), .most = 1000000,
     .help = "try a stream up to N times more if the server can't be reached, or\n"
             "goes before a file's end was sent"},

    {OPTION_HEADING, .name = "What is told on standard error"},
    {OPTION_SECONDS, .name = "progress", .argument = "SECONDS", AT(progress_ms), .least = 100,
     .most = 3600000, .implied = "1", .help = "a live line: streams, bytes, rate"},
    {OPTION_FLAG, 'q', "quiet", AT(quiet), .help = "errors only"},
    {OPTION_FLAG, 'v', "verbose", AT(verbose), .help = "also each stream that was sent"},
    {OPTION_FLAG, 'h', "help", AT(help), .help = "print this and exit"},
    {OPTION_FLAG, .name = "version", AT(version), .help = "print the version and exit"},
    {.kind = OPTION_END},
};

/* Everything one invocation sends. Stream i is made of each consecutive inputs from i * each on. */
struct sending {
    const struct send_settings *settings;
    const char *address;
    struct input *inputs;
    size_t streams; /* how many there are */
    size_t each;    /* inputs of a stream */
    bool hold;      /* answers must not mix */

    atomic_size_t next; /* the stream to be taken up next */
    atomic_size_t sent;
    _Atomic uint64_t bytes;
    atomic_int status; /* the highest of what happened */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t threads; /* under way */
};

static int print_help(void)
{
    puts("Usage: lastbyte send [options] ADDR [FILE...]\n\n"
         "Sends each file, or standard input (-, the default), or a text, as one stream; then "
         "waits\n"
         "until the server has closed too, and copies what it answers to standard output.\n"
         "ADDR is HOST:PORT, :PORT (this machine), [V6]:PORT, unix:PATH or unix:@NAME (abstract).");
    options_help(rows, stdout);
    puts("\nExamples:\n"
         "  lastbyte send --text='hello, world!' :1090\n"
         "  tar c DIR | lastbyte send HOST:1090\n"
         "  lastbyte send --parallel=4 --retry=5 HOST:1090 *.log\n"
         "\nExit status: 0 every stream was sent and the server closed after it, 1 some were not,\n"
         "2 usage, 3 the server can't be reached or a file can't be opened.");
    return command_printed();
}

static void raise_status(struct sending *sending, int status)
{
    int now = sending->status;

    while (now < status && !atomic_compare_exchange_weak(&sending->status, &now, status))
        ;
}

/* Waits before the try-th repetition, longer each time. */
static void pause_before(const struct sending *sending, uint64_t try, const char *why)
{
    char seconds[VALUE_TEXT_SIZE];
    unsigned shift = try < 10 ? (unsigned)try - 1 : 9;
    long pause_ms = PAUSE_FIRST_MS << shift;

    if (pause_ms > PAUSE_MAX_MS)
        pause_ms = PAUSE_MAX_MS;
    if (!sending->settings->quiet)
        console_tell("%s; trying again in %s s (%" PRIu64 " of %" PRIu64 ")", why,
                     value_seconds_text((uint64_t)pause_ms, seconds), try,
                     sending->settings->retries);
    struct timespec left = {pause_ms / 1000, pause_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static const char *stream_name(const struct sending *sending, const struct input *inputs)
{
    return sending->each > 1 ? "the stream" : input_name(inputs);
}

/* A stream whose end was sent may be complete at the receiver, and one that can't be read again
 * is gone. */
static bool may_repeat(const struct exchange *exchange)
{
    if (exchange->ended || !exchange->server)
        return false;
    for (size_t i = 0; i < exchange->count; i++) {
        if (!input_repeats(&exchange->inputs[i]))
            return false;
    }
    return true;
}

/* One try. Returns a status, and in *again whether another could help. */
static int try_stream(struct sending *sending, struct exchange *exchange, bool *again, char *why,
                      size_t why_size)
{
    uint64_t timeout_ms = sending->settings->connect_timeout_ms;
    const char *name = stream_name(sending, exchange->inputs);
    struct lb_error error;
    int socket = lb_connect(sending->address, timeout_ms ? (int)timeout_ms : -1, &error);

    if (socket < 0) {
        *again = socket != -EINVAL;
        snprintf(why, why_size, "%s", error.text);
        return STATUS_NO_START;
    }
    if (exchange_run(exchange, socket) == 0) {
        answer_finish(exchange->answer);
        if (sending->settings->verbose)
            console_tell("%s: sent, %" PRIu64 " bytes", name, exchange->bytes);
        return STATUS_OK;
    }
    *again = may_repeat(exchange);
    snprintf(why, why_size, "%s: %s", name, exchange->why);
    sending->bytes -= exchange->bytes;
    return STATUS_FAILED;
}

static int send_stream(struct sending *sending, size_t index)
{
    struct answer answer = {.hold = sending->hold};
    struct exchange exchange = {.inputs = &sending->inputs[index * sending->each],
                                .count = sending->each,
                                .answer = &answer,
                                .progress = &sending->bytes};
    char why[600];

    for (uint64_t try = 1;; try++) {
        bool again;
        int status = try_stream(sending, &exchange, &again, why, sizeof(why));

        if (status == STATUS_OK)
            return status;
        if (!again || try > sending->settings->retries) {
            answer_finish(&answer);
            console_tell("%s", why);
            return status;
        }
        answer_drop(&answer);
        pause_before(sending, try, why);
    }
}

static void *send_streams(void *argument)
{
    struct sending *sending = argument;
    size_t index;

    /* Once the server can't be reached, the streams that are left needn't find that out again. */
    while (sending->status < STATUS_NO_START && (index = sending->next++) < sending->streams) {
        int status = send_stream(sending, index);

        raise_status(sending, status);
        if (status == STATUS_OK)
            sending->sent++;
    }
    pthread_mutex_lock(&sending->lock);
    sending->threads--;
    pthread_cond_signal(&sending->changed);
    pthread_mutex_unlock(&sending->lock);
    return NULL;
}

/* Waits for the threads' end, showing progress. */
static void wait_for_threads(struct sending *sending)
{
    uint64_t interval_ms = sending->settings->progress_ms;
    struct progress progress;
    struct timespec next;

    progress_init(&progress);
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&sending->lock);
    while (sending->threads > 0) {
        if (!interval_ms) {
            pthread_cond_wait(&sending->changed, &sending->lock);
            continue;
        }
        next.tv_sec += (time_t)(interval_ms / 1000);
        next.tv_nsec += (long)(interval_ms % 1000) * 1000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        while (sending->threads > 0 &&
               pthread_cond_timedwait(&sending->changed, &sending->lock, &next) != ETIMEDOUT)
            ;
        progress_sent(&progress, sending->sent, sending->streams, sending->bytes);
    }
    pthread_mutex_unlock(&sending->lock);
    console_wipe();
}

static int run_threads(struct sending *sending)
{
    size_t count = sending->settings->parallel;
    pthread_t threads[PARALLEL_MAX];
    pthread_condattr_t monotonic;
    size_t made = 0;
    int error = 0;

    if (count > sending->streams)
        count = sending->streams;
    sending->hold = count > 1;
    pthread_mutex_init(&sending->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&sending->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sending->threads = count;
    while (made < count && !error) {
        error = pthread_create(&threads[made], NULL, send_streams, sending);
        made += !error;
    }
    if (error) { /* those that were made send the rest, too */
        console_tell("--parallel=%zu: can't make a thread: %s", count, strerror(error));
        raise_status(sending, STATUS_NO_START);
        pthread_mutex_lock(&sending->lock);
        sending->threads -= count - made;
        pthread_mutex_unlock(&sending->lock);
    }
    wait_for_threads(sending);
    for (size_t i = 0; i < made; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&sending->changed);
    pthread_mutex_destroy(&sending->lock);
    return sending->status;
}

static int run(struct sending *sending)
{
    /* A server or a reader that goes away is told by the failing call. */
    signal(SIGPIPE, SIG_IGN);
    command_raise_limits();
    int status = run_threads(sending);
    if (status && sending->streams > 1)
        console_tell("%zu of %zu streams were sent", sending->sent, sending->streams);
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
    struct lb_error error;

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
    struct send_settings settings = {.parallel = 1};
    int operand = options_read(rows, argc, argv, &settings);

    if (operand < 0)
        return STATUS_USAGE;
    if (settings.help)
        return print_help();
    if (settings.version)
        return command_version();
    return send_words(&settings, argv + operand, (size_t)(argc - operand));
}
