/* SPDX-License-Identifier: MIT */
/*
 * tls: streams come through TLS, by libssl. Only the sender's close_notify is a stream's end; so
 * nobody on the way can make a part look like the whole.
 *
 * libssl reads through a BIO of ours: in the prelude from the connection, and as it asks for a
 * record's header and then for its body, for exactly so many bytes; later from the memory of the
 * piece that take was given, so that what it hasn't got yet is a part of a record, which it keeps.
 * Or we decipher records ourselves (tls_records.h): then it reads what it is shown. It writes
 * through the same BIO by lb_stage_say, which takes everything.
 */
#include "tls.h"

#include "clock.h"
#include "error.h"
#include "filter.h"
#include "tls_clients.h"
#include "tls_context.h"
#include "tls_records.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD = 16 << 10, /* plain bytes of one, at most */
    /* From a peer in its handshake: certificates and all, many times over. */
    ENTER_MOST = 256 << 10,
    /* A peer may change its keys that often without a record's worth of bytes for each. */
    UPDATES_MOST = 64,
    /* Of what waits for a peer that doesn't read, when libssl answers it without being told to: a
     * request for new keys, or for another handshake. A sink's own answers end before that. */
    UNREAD_MOST = LB_WIRE_QUEUE_MAX + RECORD,
};

/* What all streams of an engine have in common. */
struct tls_shared {
    const struct lb_config *config;
    struct lb_tls_context *context;
    BIO_METHOD *method;
    struct lb_hush refusals; /* of notes about keys that may not send */
};

struct tls_state {
    struct lb_stage stage; /* for what libssl says */
    struct tls_shared *shared;
    SSL *ssl;
    struct lb_tls_records records;
    const uint8_t *data; /* what libssl is to read: what is left of the piece, or of a record */
    size_t size;
    size_t received; /* by the prelude */
    uint64_t said;   /* records under our key */
    size_t debt;     /* bytes that must come before it may go on changing its keys */
    int error;       /* the -errno of what libssl asked for last */
    int lost;        /* the -errno with which something was not said, behind the handshake */
    bool entered;
    bool saying;       /* what libssl writes is what we say */
    bool updated;      /* the peer has changed its keys */
    bool theirs;       /* the alert was the peer's, or ours */
    const char *alert; /* a fatal one, by name */
    const char *why;   /* what is wrong, if we know it better than libssl */
    struct lb_tls_who who;
};

/* ---- the BIO --------------------------------------------------------------------------------- */

/* A record of a handshake's first message, the first byte of all that TLS begins with. */
enum { HANDSHAKE = 22, ALERT = 21 };

/* Who speaks no TLS is answered so that a sender knows what we speak. */
static void refuse_plain(struct tls_state *state)
{
    static const uint8_t alert[] = {ALERT, 3, 3, 0, 2, SSL3_AL_FATAL, SSL_AD_UNEXPECTED_MESSAGE};

    state->why = "plain bytes, no TLS";
    state->error = -EPROTO;
    lb_stage_say(&state->stage, alert, sizeof(alert));
}

static int receive(struct tls_state *state, char *data, size_t size)
{
    ssize_t got;

    if (state->received + size > ENTER_MOST) {
        state->why = "too many bytes";
        state->error = -EMSGSIZE;
        return -1;
    }
    got = lb_stage_receive(&state->stage, data, size, 0);
    state->error = got < 0 ? (int)got : 0;
    if (got == 0) {
        /* Port checks say nothing. */
        bool empty = state->received == 0 && state->shared->config->ignore_empty;

        state->why = "closed in its handshake";
        state->error = empty ? -ENODATA : -EPIPE;
    }
    if (got > 0 && state->received == 0 && *data != HANDSHAKE)
        refuse_plain(state);
    state->received += got > 0 ? (size_t)got : 0;
    return state->error ? -1 : (int)got;
}

static int take_from_piece(struct tls_state *state, char *data, size_t size)
{
    size_t part = size < state->size ? size : state->size;

    if (state->debt > UPDATES_MOST * RECORD)
        state->error = -EPROTO;
    if (part == 0 || state->error < 0)
        return -1;
    memcpy(data, state->data, part);
    state->data += part;
    state->size -= part;
    return (int)part;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls_state *state = BIO_get_data(bio);
    int got = state->entered ? take_from_piece(state, data, (size_t)size)
                             : receive(state, data, (size_t)size);

    BIO_clear_retry_flags(bio);
    if (got < 0 && (state->error == 0 || state->error == -EAGAIN))
        BIO_set_retry_read(bio);
    return got;
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls_state *state = BIO_get_data(bio);
    bool by_itself = state->entered && !state->saying;
    bool unread = by_itself && state->stage.stream->wire.queued > UNREAD_MOST;
    int rc = unread ? -ENOBUFS : lb_stage_say(&state->stage, data, (size_t)size);

    BIO_clear_retry_flags(bio);
    /* Who has gone hears no answer; but libssl goes on, as what he said before counts. */
    if (state->entered && rc < 0 && !unread) {
        state->lost = rc;
        rc = 0;
    }
    if (rc < 0)
        state->error = rc;
    return rc < 0 ? -1 : size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lastbyte");

    if (method && BIO_meth_set_read(method, bio_read) == 1 &&
        BIO_meth_set_write(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_control) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- what libssl tells ----------------------------------------------------------------------- */

/* In TLS 1.3 all alerts but two are, whatever they say (RFC 8446, 6). */
static bool is_fatal(const SSL *ssl, int level, int alert)
{
    return level == SSL3_AL_FATAL ||
           (SSL_version(ssl) == TLS1_3_VERSION && alert != SSL_AD_CLOSE_NOTIFY &&
            alert != SSL_AD_USER_CANCELLED);
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_state *state = BIO_get_data(SSL_get_rbio(ssl));
    int alert = value & 0xff;

    if (!(where & SSL_CB_ALERT) || !is_fatal(ssl, value >> 8, alert))
        return;
    state->theirs = where & SSL_CB_READ;
    state->alert = lb_tls_alert_name(alert, state->theirs);
}

/* Deriving new keys costs far more than the few bytes that ask for it. */
static void on_message(int writing, int version, int type, const void *data, size_t size, SSL *ssl,
                       void *argument)
{
    struct tls_state *state = argument;

    (void)version;
    (void)ssl;
    if (!writing && type == SSL3_RT_HANDSHAKE && size > 0 &&
        *(const uint8_t *)data == SSL3_MT_KEY_UPDATE) {
        state->debt += RECORD;
        state->updated = true;
    }
}

static void on_secret(const SSL *ssl, const char *line)
{
    struct tls_state *state = BIO_get_data(SSL_get_rbio(ssl));

    lb_tls_records_learn(&state->records, line);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void tls_release(const void *settings)
{
    struct tls_shared *shared = (void *)settings;

    if (shared->context)
        lb_tls_context_close(shared->context);
    BIO_meth_free(shared->method);
    free(shared);
}

static bool reads_by_libssl(const struct lb_config *config)
{
    return config->tls_records && strcmp(config->tls_records, "libssl") == 0;
}

static int tls_settle(const struct lb_config *config, const void **settings, struct lb_error *error)
{
    struct tls_shared *shared;
    int rc = -ENOMEM;

    if (!config->tls)
        return 0;
    shared = calloc(1, sizeof(*shared));
    if (!shared)
        return lb_error_set(error, rc, "out of memory");
    shared->config = config;
    shared->method = make_method();
    if (!shared->method)
        lb_error_set(error, rc, "out of memory");
    else
        rc = lb_tls_context_open(&shared->context, config,
                                 reads_by_libssl(config) ? NULL : on_secret, error);
    if (rc == 0)
        *settings = shared;
    else
        tls_release(shared);
    return rc;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static int tls_open(struct lb_stage *stage, const void *settings)
{
    struct tls_state *state = lb_stage_state(stage);
    struct tls_shared *shared = (void *)settings; /* as tls_settle has made it */
    BIO *bio = BIO_new(shared->method);

    *state = (struct tls_state){.stage = *stage, .shared = shared};
    state->ssl = lb_tls_context_meet(shared->context, stage->stream->lane->notes);
    if (!bio || !state->ssl) {
        BIO_free(bio);
        SSL_free(state->ssl);
        return -ENOMEM;
    }
    BIO_set_data(bio, state);
    BIO_set_init(bio, 1);
    SSL_set_bio(state->ssl, bio, bio);
    SSL_set_app_data(state->ssl, &state->who);
    SSL_set_info_callback(state->ssl, on_info);
    SSL_set_msg_callback(state->ssl, on_message);
    SSL_set_msg_callback_arg(state->ssl, state);
    return 0;
}

static const char *tls_identity(const struct lb_stage *stage)
{
    const struct tls_state *state = lb_stage_state(stage);

    return state->who.text[0] && !state->who.refused ? state->who.text : NULL;
}

static void tls_close(struct lb_stage *stage)
{
    struct tls_state *state = lb_stage_state(stage);

    lb_tls_records_done(&state->records);
    SSL_free(state->ssl);
}

/* What is known best comes first. */
static const char *why_not(const struct tls_state *state)
{
    if (state->why)
        return state->why;
    if (state->who.refused)
        return "may not send";
    return state->theirs && state->alert ? state->alert : lb_tls_complaint();
}

/* Whoever may be meant to send can be let in by that. Strangers can cause it as often as they like.
 */
static void tell_refused(struct tls_state *state)
{
    const struct lb_stream *stream = state->stage.stream;
    char peer[LB_PEER_SIZE], more[LB_HUSH_SIZE];
    uint64_t untold;

    if (lb_hush_tells(&state->shared->refusals, lb_clock_ns(), LB_NS_PER_S, 1, &untold))
        lb_note(stream->lane->notes, LB_NOTE_WARNING,
                "TLS: a peer from %s has a key that may not send, %s%s",
                lb_stream_peer(stream, peer), state->who.text, lb_hush_text(untold, more));
}

static int tls_enter(struct lb_stage *stage, const char **why)
{
    struct tls_state *state = lb_stage_state(stage);
    int rc;

    ERR_clear_error();
    state->error = 0;
    rc = SSL_accept(state->ssl);
    if (rc == 1) {
        state->entered = true;
        return lb_tls_records_begin(&state->records, state->ssl);
    }
    if (state->error == -EAGAIN)
        return -EAGAIN;
    if (state->who.refused)
        tell_refused(state);
    *why = why_not(state);
    ERR_clear_error();
    return state->error ? state->error : -EPROTO;
}

static struct lb_verdict judge(const struct tls_state *state)
{
    if (state->debt > UPDATES_MOST * RECORD)
        return (struct lb_verdict){.end = LB_END_LIMIT, .why = "key-updates"};
    if (state->error == -ENOBUFS)
        return (struct lb_verdict){.end = LB_END_LIMIT, .why = "unread-answers"};
    if (state->error < 0)
        return lb_verdict_of_receive(state->error);
    if (state->theirs)
        return (struct lb_verdict){LB_END_RESET, -ECONNRESET, state->alert};
    return (struct lb_verdict){LB_END_ERROR, -EBADMSG, state->alert};
}

/* Each of these reads into plain, *used bytes, as far as it comes, and returns why not further, as
 * SSL_get_error does. */
static int read_by_libssl(struct tls_state *state, uint8_t *plain, int *used)
{
    int got;

    do {
        got = SSL_read(state->ssl, plain + *used, LB_SCRATCH_SIZE - *used);
        *used += got > 0 ? got : 0;
    } while (got > 0);
    return SSL_get_error(state->ssl, got);
}

/* A record that libssl has to judge. Returns SSL_ERROR_NONE if it comes to what is expected. */
static int show(struct tls_state *state, const uint8_t *record, size_t size, int expected)
{
    uint8_t byte;
    int result;

    ERR_clear_error();
    state->data = record;
    state->size = size;
    state->updated = false;
    result = SSL_get_error(state->ssl, SSL_read(state->ssl, &byte, sizeof(byte)));
    if (result == SSL_ERROR_WANT_READ && state->updated)
        state->error = lb_tls_records_renew(&state->records);
    if (state->error < 0)
        return SSL_ERROR_SYSCALL;
    if (result == expected)
        return SSL_ERROR_NONE;
    return result == SSL_ERROR_WANT_READ || result == SSL_ERROR_NONE ? SSL_ERROR_SSL : result;
}

/* libssl has seen something else, and may not like that content comes now. */
static int note_content(struct tls_state *state)
{
    uint8_t note[LB_TLS_NOTE_SIZE];

    return show(state, note, lb_tls_records_note(&state->records, note), SSL_ERROR_NONE);
}

static int read_records(struct tls_state *state, uint8_t *plain, int *used)
{
    enum { REFUSAL = -1 };
    struct lb_tls_piece piece = {state->data, state->size};
    int result = SSL_ERROR_NONE;

    while (result == SSL_ERROR_NONE) {
        uint8_t *made = plain + *used;
        size_t size;

        switch (lb_tls_records_next(&state->records, &piece, made, &size)) {
        case LB_TLS_CONTENT:
            if (state->records.unsure)
                result = note_content(state);
            *used += result == SSL_ERROR_NONE ? (int)size : 0;
            break;
        case LB_TLS_SHOW:
            result = show(state, made, size, SSL_ERROR_WANT_READ);
            break;
        case LB_TLS_REFUSED:
            result = show(state, made, size, REFUSAL);
            break;
        case LB_TLS_NO_MEMORY:
            state->error = -ENOMEM;
            result = SSL_ERROR_SYSCALL;
            break;
        case LB_TLS_NOTHING:
            result = SSL_ERROR_WANT_READ;
            break;
        }
    }
    return result;
}

/* A part of a record that came before may become whole: so up to a record more comes out than goes
 * in, and there is always room for a byte more. */
static bool tls_take(struct lb_stage *stage, const uint8_t *data, size_t size,
                     struct lb_verdict *verdict)
{
    struct tls_state *state = lb_stage_state(stage);
    uint8_t *plain = lb_stage_scratch(stage);
    struct lb_verdict failure;
    int result, used = 0;

    ERR_clear_error();
    state->data = data;
    state->size = size;
    state->error = 0;
    result = state->records.cipher ? read_records(state, plain, &used)
                                   : read_by_libssl(state, plain, &used);
    failure = judge(state);
    state->debt -= state->debt < (size_t)used ? state->debt : (size_t)used;
    /* While that runs, the peer may be answered: nothing is asked of libssl behind it. */
    if (!lb_pass(stage, plain, (size_t)used, verdict))
        return false;
    if (result == SSL_ERROR_ZERO_RETURN)
        return lb_pass_end(stage, verdict);
    if (result != SSL_ERROR_WANT_READ)
        *verdict = failure;
    return result == SSL_ERROR_WANT_READ;
}

static bool is_in_record(const struct tls_state *state)
{
    if (state->records.cipher)
        return state->records.part;
    return SSL_has_pending(state->ssl) || strcmp(SSL_rstate_string(state->ssl), "RB") == 0;
}

/* Whoever ends his stream says so before. */
static void tls_eof(struct lb_stage *stage, struct lb_verdict *verdict)
{
    const struct tls_state *state = lb_stage_state(stage);

    verdict->why = "no-close-notify";
    if (!state->shared->config->tls_allow_fin || is_in_record(state))
        verdict->end = LB_END_TRUNCATED;
}

static int tls_say(struct lb_stage *stage, const void *data, size_t size)
{
    struct tls_state *state = lb_stage_state(stage);
    int rc;

    ERR_clear_error();
    state->error = 0;
    state->saying = true;
    lb_tls_use_key(state->ssl, &state->said);
    rc = SSL_write(state->ssl, data, (int)size);
    state->saying = false;
    if (rc == (int)size)
        return state->lost;
    return state->error ? state->error : -EPIPE;
}

/* Our close_notify; but what is about to be reset must not look as if it had ended. */
static void tls_finish(struct lb_stage *stage)
{
    struct tls_state *state = lb_stage_state(stage);

    ERR_clear_error();
    state->saying = true;
    if (state->entered && stage->stream->wire.closing != LB_CLOSING_RESET)
        SSL_shutdown(state->ssl);
}

const struct lb_filter lb_filter_tls = {
    .name = "tls",
    .state_size = sizeof(struct tls_state),
    .grows = 1,
    .extra = LB_TLS_RECORD_MOST + 1,
    .has_end = true,
    .beside = 40 << 10, /* test tls_memory_of_streams */
    .settle = tls_settle,
    .release = tls_release,
    .open = tls_open,
    .enter = tls_enter,
    .take = tls_take,
    .eof = tls_eof,
    .say = tls_say,
    .finish = tls_finish,
    .identity = tls_identity,
    .close = tls_close,
};
