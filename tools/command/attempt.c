/* SPDX-License-Identifier: MIT */
#include "attempt.h"

#include "answer.h"
#include "command.h"
#include "console.h"
#include "exchange.h"
#include "producer.h"
#include "proof.h"
#include "receipt.h"
#include "tls_line.h"
#include "value.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_FIRST_MS = 250, PAUSE_MAX_MS = 10000, HANDSHAKE_MS = 30000 };

/* A stream on its way, try by try. */
struct attempt {
    struct sending *sending;
    const char *name;    /* of the stream, for messages */
    const char *address; /* that was connected to last */
    char quoted[LB_QUOTE_SIZE];
    uint64_t deadline_ns; /* of all tries; 0: none */
    struct answer answer;
    struct proof proof;
    struct exchange exchange;
    bool again;     /* after a failure: another try could help, and do no harm */
    char why[1500]; /* after a failure, for a person */
};

__attribute__((format(printf, 3, 4))) static int fail(struct attempt *attempt, int status,
                                                      const char *format, ...)
{
    va_list arguments;
    size_t used = 0;

    if (status != STATUS_NO_START)
        used = (size_t)snprintf(attempt->why, sizeof(attempt->why), "%s: ", attempt->name);
    va_start(arguments, format);
    vsnprintf(attempt->why + used, sizeof(attempt->why) - used, format, arguments);
    va_end(arguments);
    return status;
}

static bool is_repeatable(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->count; i++) {
        if (!input_repeats(&exchange->inputs[i]))
            return false;
    }
    return true;
}

/* Most limits refuse again what they refused once; those that only count streams may not. */
static bool is_final(const char *reason)
{
    static const char limit[] = "limit";

    if (strncmp(reason, limit, sizeof(limit) - 1) != 0)
        return false;
    const char *detail = reason + sizeof(limit) - 1;
    if (*detail != ':' && *detail != '\0')
        return false;
    return strcmp(detail, ":per-peer") != 0 && strcmp(detail, ":max-streams") != 0;
}

static int refuse(struct attempt *attempt, const struct receipt *receipt)
{
    attempt->again = !is_final(receipt->word) && is_repeatable(&attempt->exchange);
    return fail(attempt, STATUS_REFUSED,
                "refused, with the receipt \"error %s %" PRIu64 "\" after %" PRIu64
                " bytes were sent",
                receipt->word, receipt->bytes, attempt->exchange.bytes);
}

/* Makes the digest that was not made while sending. What is read for that must be what was sent. */
static int read_again(struct attempt *attempt, const struct receipt *receipt)
{
    const struct exchange *exchange = &attempt->exchange;
    const char *algorithm = receipt->algorithm;
    struct proof proof;

    if (strcmp(algorithm, "sha256") != 0)
        return fail(attempt, STATUS_UNKNOWN,
                    "unknown whether it is safe: the receipt's digest is %s, which can't be made "
                    "here; let the server give xxh3 or sha256",
                    algorithm);
    if (!is_repeatable(exchange))
        return fail(attempt, STATUS_UNKNOWN,
                    "unknown whether it is safe: the receipt's digest is %s, and the input can't "
                    "be read again to make it; use --receipt=%s",
                    algorithm, algorithm);
    int error = proof_read(&proof, exchange->inputs, exchange->count);
    if (error)
        return fail(attempt, STATUS_UNKNOWN,
                    "unknown whether it is safe: the receipt's digest is %s, and to make it the "
                    "input can't be read again: %s; use --receipt=%s",
                    algorithm, strerror(-error), algorithm);
    if (strcmp(proof_digest(&proof, "xxh3"), proof_digest(&attempt->proof, "xxh3")) != 0) {
        proof_close(&proof);
        return fail(attempt, STATUS_UNKNOWN,
                    "unknown whether it is safe: the receipt's digest is %s, and the input has "
                    "changed since it was sent; use --receipt=%s",
                    algorithm, algorithm);
    }
    proof_close(&attempt->proof);
    attempt->proof = proof;
    return STATUS_OK;
}

/* Holds the receipt against what was sent. */
static int compare(struct attempt *attempt, const struct receipt *receipt)
{
    const struct exchange *exchange = &attempt->exchange;
    int error = exchange->ended ? proof_finish(&attempt->proof) : 0;

    if (error)
        return fail(attempt, STATUS_UNKNOWN, "digest: %s", strerror(-error));
    if (!exchange->ended || exchange->bytes != receipt->bytes)
        return fail(attempt, STATUS_REFUSED,
                    "different at the server, as %s: %" PRIu64 " bytes, where %" PRIu64
                    " bytes%s were sent",
                    receipt->word, receipt->bytes, exchange->bytes,
                    exchange->ended ? "" : " and no end");
    if (!proof_digest(&attempt->proof, receipt->algorithm)) {
        int status = read_again(attempt, receipt);

        if (status != STATUS_OK)
            return status;
    }
    const char *sent = proof_digest(&attempt->proof, receipt->algorithm);
    if (strcmp(sent, receipt->digest) != 0)
        return fail(attempt, STATUS_REFUSED,
                    "different at the server, as %s: %s:%s, where %s was "
                    "sent",
                    receipt->word, receipt->algorithm, receipt->digest, sent);
    if (attempt->sending->settings->verbose)
        console_tell("%s: proven safe, with the receipt \"ok %" PRIu64 " %s:%s %s\"", attempt->name,
                     receipt->bytes, receipt->algorithm, receipt->digest, receipt->word);
    return STATUS_OK;
}

/* An input failed, or we were stopped. */
static int give_up(struct attempt *attempt)
{
    const struct exchange *exchange = &attempt->exchange;
    bool unix_socket =
        strncmp(attempt->sending->targets.addresses[0], "unix:", strlen("unix:")) == 0;

    if (!unix_socket || exchange->ended || exchange->seal.kind != LB_SEAL_KINDS)
        return fail(attempt, STATUS_FAILED, "%s", exchange->why);
    return fail(attempt, STATUS_FAILED,
                "%s; over a Unix socket the server can't tell that from the stream's end, and may "
                "hold the %" PRIu64 " bytes that were sent for all",
                exchange->why, exchange->bytes);
}

/* What the end of the exchange and the receipt, if one came, mean together. */
static int judge(struct attempt *attempt, int error)
{
    const struct exchange *exchange = &attempt->exchange;
    struct receipt receipt;
    bool come = answer_receipt(&attempt->answer, &receipt);

    if (come && !receipt.ok)
        return refuse(attempt, &receipt);
    if (error && !exchange->server)
        return give_up(attempt);
    /* Before the server's EOF a line is not the last. */
    if (come && exchange->answered)
        return compare(attempt, &receipt);
    if (error) {
        attempt->again = is_repeatable(exchange);
        return fail(attempt, STATUS_UNKNOWN, "no receipt: %s", exchange->why);
    }
    /* Not repeated: most likely it would end like this again, and each time be stored. */
    return fail(
        attempt, STATUS_UNKNOWN,
        "no receipt, so unknown whether it is safe: the server closed in order after %" PRIu64
        " bytes; does it run with --receipt?",
        exchange->bytes);
}

/* Without a receipt. A stream whose end was sent may be complete at the receiver. */
static int trust(struct attempt *attempt, int error)
{
    const struct exchange *exchange = &attempt->exchange;

    if (error && !exchange->server)
        return give_up(attempt);
    if (error) {
        attempt->again = !exchange->ended && is_repeatable(exchange);
        return fail(attempt, STATUS_FAILED, "%s", exchange->why);
    }
    if (attempt->sending->settings->verbose)
        console_tell("%s: sent, %" PRIu64 " bytes", attempt->name, exchange->bytes);
    return STATUS_OK;
}

/* Milliseconds that connecting may take; negative: any. */
static int connect_limit_ms(const struct attempt *attempt)
{
    int limit_ms = attempt->sending->settings->connect_timeout_ms;

    if (!attempt->deadline_ns)
        return limit_ms;
    uint64_t now = patience_clock();
    uint64_t left_ms = now < attempt->deadline_ns ? (attempt->deadline_ns - now) / 1000000 + 1 : 0;
    return limit_ms < 0 || left_ms < (uint64_t)limit_ms ? (int)left_ms : limit_ms;
}

/* Connecting and TLS's handshake have so long together; a server that answers nothing to a
 * handshake would be waited for for ever. */
static uint64_t handshake_deadline_ns(const struct attempt *attempt, uint64_t begun_ns)
{
    int limit_ms = attempt->sending->settings->connect_timeout_ms;
    uint64_t deadline_ns = limit_ms < 0 ? patience_clock() + HANDSHAKE_MS * UINT64_C(1000000)
                                        : begun_ns + (uint64_t)limit_ms * 1000000;

    return attempt->deadline_ns && attempt->deadline_ns < deadline_ns ? attempt->deadline_ns
                                                                      : deadline_ns;
}

/* Connects the line. Returns a status. */
static int open_line(struct attempt *attempt, struct line *line)
{
    const struct send_settings *settings = attempt->sending->settings;
    struct lb_error why = {LB_ERROR_INIT};
    unsigned flags = LB_CONNECT_RESET | (settings->ipv4 ? LB_CONNECT_IPV4 : 0u) |
                     (settings->ipv6 ? LB_CONNECT_IPV6 : 0u);
    uint64_t begun_ns = patience_clock();
    struct tls_failure failure = {.final = false};
    int error;

    line->socket = targets_connect(&attempt->sending->targets, flags, connect_limit_ms(attempt),
                                   &attempt->address, &why);
    if (line->socket < 0) {
        attempt->again = line->socket != -EINVAL;
        return fail(attempt, STATUS_NO_START, "%s", why.text);
    }
    error = fcntl(line->socket, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
    if (error)
        snprintf(failure.why, sizeof(failure.why), "fcntl: %s", strerror(-error));
    else if (attempt->sending->tls)
        error = tls_line_open(line, attempt->sending->tls, handshake_deadline_ns(attempt, begun_ns),
                              producer_stop_fd(), &failure);
    if (error == 0)
        return STATUS_OK;
    close(line->socket);
    attempt->again = error != -ECANCELED && !failure.final;
    return error == -ECANCELED
               ? fail(attempt, STATUS_FAILED, "stopped by %s", producer_stop_name())
               : fail(attempt, STATUS_NO_START, "%s: %s", attempt->address, failure.why);
}

static int try_once(struct attempt *attempt)
{
    const struct send_settings *settings = attempt->sending->settings;
    struct line line = {.socket = -1};
    int error = 0;

    attempt->again = false;
    if (attempt->answer.receipt)
        error = proof_open(&attempt->proof, settings->receipt == SEND_RECEIPT_SHA256);
    if (error)
        return fail(attempt, STATUS_FAILED, "digest: %s", strerror(-error));
    int status = open_line(attempt, &line);
    if (status != STATUS_OK) {
        proof_close(&attempt->proof);
        return status;
    }
    error = exchange_run(&attempt->exchange, &line);
    if (attempt->exchange.barred)
        status = fail(attempt, STATUS_NO_START, "%s: %s", attempt->address, line.why);
    else
        status = attempt->answer.receipt ? judge(attempt, error) : trust(attempt, error);
    if (status != STATUS_OK)
        *attempt->exchange.progress -= attempt->exchange.bytes;
    proof_close(&attempt->proof);
    return status;
}

static long pause_ms(unsigned repetition)
{
    long pause = PAUSE_FIRST_MS << (repetition < 10 ? repetition - 1 : 9);

    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* May the stream be tried once more, and is there time for it? */
static bool may_repeat(const struct attempt *attempt, unsigned repetition)
{
    if (!attempt->again || repetition > attempt->sending->settings->retries)
        return false;
    return !attempt->deadline_ns ||
           patience_clock() + (uint64_t)pause_ms(repetition) * 1000000 < attempt->deadline_ns;
}

/* Waits before the repetition, longer each time. */
static void pause_before(const struct attempt *attempt, unsigned repetition)
{
    const struct send_settings *settings = attempt->sending->settings;
    char seconds[VALUE_TEXT_SIZE];
    long pause = pause_ms(repetition);

    if (!settings->quiet)
        console_tell("%s; trying again in %s s (%u of %u)", attempt->why,
                     value_seconds_text((uint64_t)pause, seconds), repetition, settings->retries);
    struct timespec left = {pause / 1000, pause % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static void prepare(struct attempt *attempt, struct sending *sending, size_t index)
{
    const struct send_settings *settings = sending->settings;
    struct input *inputs = &sending->inputs[index * sending->each];
    bool receipt = settings->receipt != SEND_RECEIPT_NONE;

    *attempt = (struct attempt){.sending = sending};
    attempt->name = sending->each > 1 ? "the stream" : input_name(inputs, attempt->quoted);
    if (settings->max_time_ms)
        attempt->deadline_ns = patience_clock() + (uint64_t)settings->max_time_ms * 1000000;
    attempt->answer = (struct answer){.hold = sending->hold,
                                      .receipt = receipt,
                                      .deadline_ns = attempt->deadline_ns,
                                      .name = attempt->name};
    attempt->exchange = (struct exchange){
        .inputs = inputs,
        .count = sending->each,
        .seal = {settings->seal, settings->seal_key},
        .answer = &attempt->answer,
        .proof = receipt ? &attempt->proof : NULL,
        .progress = &sending->tracks.all[index].bytes,
        .limits = {settings->idle_timeout_ms, settings->keepalive_ms, attempt->deadline_ns}};
}

int attempt_stream(struct sending *sending, size_t index)
{
    struct attempt attempt;
    int highest = STATUS_OK;

    prepare(&attempt, sending, index);
    for (unsigned repetition = 1;; repetition++) {
        int status = try_once(&attempt);

        if (status == STATUS_OK || !may_repeat(&attempt, repetition)) {
            answer_finish(&attempt.answer);
            if (status == STATUS_OK)
                return STATUS_OK;
            console_tell("%s", attempt.why);
            if (status == STATUS_NO_START)
                sending->unreachable = true;
            /* What was unknown once is not known by a later refusal. */
            return status > highest ? status : highest;
        }
        highest = status > highest ? status : highest;
        answer_drop(&attempt.answer);
        pause_before(&attempt, repetition);
    }
}
