/* SPDX-License-Identifier: MIT */
#include "upload.h"

#include "answer.h"
#include "etags.h"
#include "tell.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHECK_MS = 10000, ABORT_MS = 60000 };

#define NS_PER_MS 1000000ull

struct s3_upload {
    struct s3_uploads *uploads;
    uint64_t stream_id;
    char key[S3_NAME_SIZE];
    struct s3_lease lease;
    atomic_int error; /* -errno, once it has failed */

    /* The loop's. */
    struct s3_task end_task, give_up_task;
    struct s3_request request; /* whatever is not a part's */
    bool busy;                 /* with that */
    char *upload_id;           /* encoded, of a multipart upload; NULL: none */
    char *query;
    struct s3_etags etags;
    struct iovec list; /* the body that completes it */
    struct s3_part *parts, *last;
    bool ended, whole, aborted; /* ended: what the stream's thread has said has been taken over */
    bool lost;                  /* an attempt to make the object had no answer */
    enum s3_result result;      /* what finish will tell */
    uint64_t size, end_ns;

    /* Handed over with end_task. */
    struct {
        struct s3_part *last;
        bool whole;
        uint64_t size;
    } end;

    /* Under the lock. */
    enum s3_result told;
    bool stream_has; /* the stream may be woken */
    bool begun;      /* something was handed over */
    unsigned holders;
    struct s3_upload *next, **link;
};

static void proceed(struct s3_upload *upload);

/* ---- requests -------------------------------------------------------------------------------- */

/* Until when what belongs to the stream may be tried. */
static uint64_t patience(const struct s3_upload *upload)
{
    return (upload->ended ? upload->end_ns : s3_loop_clock_ns()) + upload->uploads->timeout_ns;
}

static void tell(const struct s3_upload *upload, const char *what, const struct s3_outcome *outcome)
{
    char text[600];
    int used = snprintf(text, sizeof(text), "stream %" PRIu64 ": s3: %s: %s", upload->stream_id,
                        upload->key, what);

    s3_tell_outcome(text + used, sizeof(text) - (size_t)used, outcome);
    upload->uploads->tell(upload->uploads->context, text);
}

/* The stream, if there is one still, may go on, or end. */
static void announce(struct s3_upload *upload, enum s3_result result)
{
    struct s3_uploads *uploads = upload->uploads;

    pthread_mutex_lock(&uploads->lock);
    upload->told = result;
    if (upload->stream_has)
        uploads->wake(uploads->context, upload->stream_id);
    pthread_mutex_unlock(&uploads->lock);
}

static void fail(struct s3_upload *upload, const char *what, const struct s3_outcome *outcome)
{
    if (upload->error)
        return;
    upload->error = s3_tell_errno(outcome);
    tell(upload, what, outcome);
    announce(upload, S3_PENDING);
}

static void fail_locally(struct s3_upload *upload)
{
    fail(upload, "out of memory", &(struct s3_outcome){0});
}

static void ask(struct s3_upload *upload, const char *method, uint64_t until_ns,
                void (*done)(struct s3_request *request))
{
    struct s3_request *request = &upload->request;

    upload->busy = true;
    request->method = method;
    request->key = upload->key;
    request->until_ns = until_ns;
    request->done = done;
    request->owner = upload;
    s3_loop_ask(upload->uploads->loop, request);
}

/* Without a body. */
static void ask_briefly(struct s3_upload *upload, const char *method, const char *query,
                        uint64_t until_ns, void (*done)(struct s3_request *request))
{
    struct s3_request *request = &upload->request;

    request->query = query;
    request->body = NULL;
    request->body_count = 0;
    request->body_size = 0;
    sigv4_hash("", 0, request->payload);
    ask(upload, method, until_ns, done);
}

/* ---- is it there? ---------------------------------------------------------------------------- */

static void on_checked(struct s3_request *request)
{
    struct s3_upload *upload = request->owner;
    const struct s3_outcome *outcome = &request->outcome;

    upload->busy = false;
    if (outcome->status == 200 && outcome->size == upload->size)
        upload->result = S3_STORED;
    else if (outcome->status == 200)
        fail(upload, "has another size than was sent", &(struct s3_outcome){.status = 200});
    else if (upload->lost || outcome->status != 404)
        upload->result = S3_IN_DOUBT;
    else
        fail(upload, "is not there", outcome);
    if (upload->result == S3_IN_DOUBT)
        fail(upload, "nobody knows whether it is stored", outcome);
    proceed(upload);
}

/* The key is ours and unique: if an object of the right size has it, that is the stream's. */
static void check(struct s3_upload *upload, const struct s3_outcome *outcome)
{
    uint64_t least = CHECK_MS * NS_PER_MS, until = patience(upload);

    if (least > upload->uploads->timeout_ns)
        least = upload->uploads->timeout_ns;
    least += s3_loop_clock_ns();
    upload->lost = outcome->ever_unanswered || outcome->status == 0;
    ask_briefly(upload, "HEAD", NULL, until > least ? until : least, on_checked);
}

/* What it said leaves open whether it is there. */
static bool is_doubtful(const struct s3_outcome *outcome)
{
    return outcome->status == 0 || outcome->status >= 500 || outcome->ever_unanswered ||
           strcmp(outcome->code, "NoSuchUpload") == 0;
}

/* ---- one part -------------------------------------------------------------------------------- */

static void on_put(struct s3_request *request)
{
    struct s3_upload *upload = request->owner;
    const struct s3_outcome *outcome = &request->outcome;
    bool good = outcome->status == 200 && !*outcome->code;

    upload->busy = false;
    s3_part_close(upload->last);
    upload->last = NULL;
    if (good) {
        upload->result = S3_STORED;
    } else if (is_doubtful(outcome)) {
        check(upload, outcome);
        return;
    } else {
        fail(upload, "can't be stored", outcome);
    }
    proceed(upload);
}

static void put(struct s3_upload *upload)
{
    struct s3_request *request = &upload->request;
    const struct s3_part *part = upload->last;

    request->query = NULL;
    request->body = part->blocks;
    request->body_count = part->count;
    request->body_size = part->size;
    memcpy(request->payload, part->request.payload, sizeof(request->payload));
    ask(upload, "PUT", patience(upload), on_put);
}

/* ---- many parts ------------------------------------------------------------------------------ */

/* "partNumber=N&uploadId=ID", or without the first. */
static char *make_query(const struct s3_upload *upload, unsigned number)
{
    char *query = NULL;
    int size = number ? asprintf(&query, "partNumber=%u&uploadId=%s", number, upload->upload_id)
                      : asprintf(&query, "uploadId=%s", upload->upload_id);

    return size < 0 ? NULL : query;
}

static int keep_upload_id(struct s3_upload *upload, const struct s3_request *request)
{
    upload->upload_id = s3_answer_upload_id(request->answer, request->answer_size);
    if (upload->upload_id)
        upload->query = make_query(upload, 0);
    return upload->query ? 0 : -EPROTO;
}

static void on_created(struct s3_request *request)
{
    struct s3_upload *upload = request->owner;

    upload->busy = false;
    if (request->outcome.status != 200 || keep_upload_id(upload, request) < 0)
        fail(upload, "no upload can be begun", &request->outcome);
    proceed(upload);
}

static void on_part(struct s3_request *request)
{
    struct s3_part *part = request->owner;
    struct s3_upload *upload = part->upload;
    const struct s3_outcome *outcome = &request->outcome;
    bool good = outcome->status == 200 && !*outcome->code;

    s3_parts_remove(&upload->parts, part);
    if (!good)
        fail(upload, "a part can't be stored", outcome);
    else if (s3_etags_keep(&upload->etags, part->number, outcome->etag) < 0)
        fail(upload, "a part was stored without a name", outcome);
    s3_part_close(part);
    proceed(upload);
}

static void send_parts(struct s3_upload *upload)
{
    for (struct s3_part *part = upload->parts; part; part = part->next) {
        struct s3_request *request = &part->request;

        if (part->sent)
            continue;
        part->query = make_query(upload, part->number);
        if (!part->query) {
            fail_locally(upload);
            return;
        }
        part->sent = true;
        request->method = "PUT";
        request->key = upload->key;
        request->query = part->query;
        request->body = part->blocks;
        request->body_count = part->count;
        request->body_size = part->size;
        request->until_ns = patience(upload);
        request->done = on_part;
        request->owner = part;
        s3_loop_ask(upload->uploads->loop, request);
    }
}

/* An <Error> may come with a status of 200, and so may only a part of the answer. */
static bool is_completed(const struct s3_request *request)
{
    return request->outcome.status == 200 &&
           s3_answer_is(request->answer, request->answer_size, "CompleteMultipartUploadResult");
}

static void on_completed(struct s3_request *request)
{
    struct s3_upload *upload = request->owner;
    struct s3_outcome *outcome = &request->outcome;

    upload->busy = false;
    free(upload->list.iov_base);
    upload->list.iov_base = NULL;
    if (is_completed(request)) {
        upload->result = S3_STORED;
    } else if (is_doubtful(outcome) || (outcome->status == 200 && !*outcome->code)) {
        outcome->ever_unanswered |= outcome->status == 200;
        check(upload, outcome);
        return;
    } else {
        fail(upload, "can't be completed", outcome);
    }
    proceed(upload);
}

static void complete(struct s3_upload *upload)
{
    struct s3_request *request = &upload->request;
    char *list = s3_etags_list(&upload->etags);

    if (!list) {
        fail_locally(upload);
        proceed(upload);
        return;
    }
    upload->list = (struct iovec){list, strlen(list)};
    request->query = upload->query;
    request->body = &upload->list;
    request->body_count = 1;
    request->body_size = upload->list.iov_len;
    sigv4_hash(list, upload->list.iov_len, request->payload);
    ask(upload, "POST", patience(upload), on_completed);
}

static void on_aborted(struct s3_request *request)
{
    struct s3_upload *upload = request->owner;
    int status = request->outcome.status;

    upload->busy = false;
    upload->aborted = true;
    if (status != 204 && status != 200 && status != 404)
        tell(upload, "its upload is left until the next start", &request->outcome);
    proceed(upload);
}

/* ---- its way --------------------------------------------------------------------------------- */

static void release(struct s3_upload *upload)
{
    struct s3_uploads *uploads = upload->uploads;

    s3_memory_leave(uploads->memory, &upload->lease);
    s3_etags_done(&upload->etags);
    free(upload->list.iov_base);
    free(upload->upload_id);
    free(upload->query);
    free(upload);
}

/* One of those that hold it has no more to do with it. */
static void drop(struct s3_upload *upload)
{
    struct s3_uploads *uploads = upload->uploads; /* NOLINT: its holders are counted */
    bool last;

    pthread_mutex_lock(&uploads->lock);
    last = --upload->holders == 0;
    if (last)
        *upload->link = upload->next;
    if (last && upload->next)
        upload->next->link = upload->link;
    if (!uploads->first)
        pthread_cond_signal(&uploads->gone);
    pthread_mutex_unlock(&uploads->lock);
    if (last)
        release(upload);
}

static void give_back(struct s3_upload *upload)
{
    s3_parts_drop(&upload->parts, upload->uploads->loop);
    if (upload->last)
        s3_part_close(upload->last);
    upload->last = NULL;
    /* Which need not wait for what is to be aborted. */
    if (upload->ended)
        announce(upload, upload->result == S3_PENDING ? S3_FAILED : upload->result);
    if (upload->upload_id && !upload->aborted)
        ask_briefly(upload, "DELETE", upload->query, s3_loop_clock_ns() + ABORT_MS * NS_PER_MS,
                    on_aborted);
    else if (upload->ended)
        drop(upload);
}

/* Begins whatever may begin now. */
static void proceed(struct s3_upload *upload)
{
    if (upload->busy)
        return;
    if (upload->result == S3_STORED) {
        announce(upload, S3_STORED);
        drop(upload);
    } else if (upload->error || (upload->ended && !upload->whole)) {
        give_back(upload);
    } else if (upload->upload_id) {
        send_parts(upload);
        if (upload->error)
            proceed(upload);
        else if (upload->ended && !upload->parts)
            complete(upload);
    } else if (upload->parts) {
        ask_briefly(upload, "POST", "uploads=", patience(upload), on_created);
    } else if (upload->ended) {
        put(upload);
    }
}

static void take_part(struct s3_task *task)
{
    struct s3_part *part = (void *)task; /* its first member */
    struct s3_upload *upload = part->upload;

    if (upload->error) {
        s3_part_close(part);
        return;
    }
    s3_parts_add(&upload->parts, part);
    proceed(upload);
}

#define UPLOAD_OF(task, member)                                                                    \
    ((struct s3_upload *)(void *)((char *)(task)-offsetof(struct s3_upload, member)))

static void take_end(struct s3_task *task)
{
    struct s3_upload *upload = UPLOAD_OF(task, end_task);
    struct s3_part *last = upload->end.last;

    upload->ended = true;
    upload->whole = upload->end.whole;
    upload->size = upload->end.size;
    upload->end_ns = s3_loop_clock_ns();
    if (last && last->number == 1)
        upload->last = last;
    else if (last && last->size > 0)
        s3_parts_add(&upload->parts, last);
    else if (last)
        s3_part_close(last);
    proceed(upload);
}

/* Whatever the store would have answered. */
static void take_give_up(struct s3_task *task)
{
    struct s3_upload *upload = UPLOAD_OF(task, give_up_task);

    if (upload->told == S3_PENDING && !upload->error) {
        if (upload->busy)
            s3_loop_cancel(upload->uploads->loop, &upload->request);
        upload->busy = false;
        upload->error = -ECANCELED;
        upload->result = S3_IN_DOUBT;
        proceed(upload);
    }
    drop(upload); /* what s3_upload_give_up held */
}

/* ---- from the stream's thread ---------------------------------------------------------------- */

struct s3_upload *s3_upload_open(struct s3_uploads *uploads, uint64_t stream_id, const char *key)
{
    struct s3_upload *upload = calloc(1, sizeof(*upload));

    if (!upload)
        return NULL;
    upload->uploads = uploads;
    upload->stream_id = stream_id;
    upload->lease.id = stream_id;
    upload->stream_has = true;
    upload->holders = 1;
    snprintf(upload->key, sizeof(upload->key), "%s", key);
    pthread_mutex_lock(&uploads->lock);
    upload->next = uploads->first;
    upload->link = &uploads->first;
    if (upload->next)
        upload->next->link = &upload->next;
    uploads->first = upload;
    pthread_mutex_unlock(&uploads->lock);
    return upload;
}

struct s3_lease *s3_upload_lease(struct s3_upload *upload)
{
    return &upload->lease;
}

int s3_upload_failed(const struct s3_upload *upload)
{
    return upload->error;
}

/* The loop holds it from its first part on. */
static void post(struct s3_upload *upload, struct s3_task *task, void (*run)(struct s3_task *task))
{
    struct s3_uploads *uploads = upload->uploads;

    pthread_mutex_lock(&uploads->lock);
    upload->holders += !upload->begun;
    upload->begun = true;
    pthread_mutex_unlock(&uploads->lock);
    task->run = run;
    s3_loop_post(uploads->loop, task);
}

void s3_upload_part(struct s3_upload *upload, struct s3_part *part)
{
    part->upload = upload;
    post(upload, &part->task, take_part);
}

void s3_upload_end(struct s3_upload *upload, struct s3_part *last, bool whole, uint64_t size)
{
    s3_memory_ask_no_more(upload->uploads->memory, &upload->lease);
    if (last)
        last->upload = upload;
    upload->end.last = last;
    upload->end.whole = whole;
    upload->end.size = size;
    post(upload, &upload->end_task, take_end);
}

enum s3_result s3_upload_result(struct s3_upload *upload)
{
    enum s3_result told;

    pthread_mutex_lock(&upload->uploads->lock);
    told = upload->told;
    pthread_mutex_unlock(&upload->uploads->lock);
    return told;
}

void s3_upload_give_up(struct s3_upload *upload)
{
    struct s3_uploads *uploads = upload->uploads;

    pthread_mutex_lock(&uploads->lock);
    upload->stream_has = false;
    pthread_mutex_unlock(&uploads->lock);
    /* The task drops it. */
    upload->give_up_task.run = take_give_up;
    s3_loop_post(uploads->loop, &upload->give_up_task);
}

void s3_upload_leave(struct s3_upload *upload)
{
    struct s3_uploads *uploads = upload->uploads;

    s3_memory_ask_no_more(uploads->memory, &upload->lease);
    pthread_mutex_lock(&uploads->lock);
    upload->stream_has = false;
    pthread_mutex_unlock(&uploads->lock);
    drop(upload);
}

/* ---- all of them ----------------------------------------------------------------------------- */

int s3_uploads_open(struct s3_uploads *uploads)
{
    pthread_condattr_t monotonic;
    int rc = -pthread_mutex_init(&uploads->lock, NULL);

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = -pthread_cond_init(&uploads->gone, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return rc;
}

unsigned s3_uploads_wait(struct s3_uploads *uploads, unsigned ms)
{
    uint64_t until_ns = s3_loop_clock_ns() + ms * NS_PER_MS;
    const struct timespec until = {(time_t)(until_ns / (1000 * NS_PER_MS)),
                                   (long)(until_ns % (1000 * NS_PER_MS))};
    unsigned count = 0;

    pthread_mutex_lock(&uploads->lock);
    while (uploads->first && pthread_cond_timedwait(&uploads->gone, &uploads->lock, &until) == 0)
        ;
    for (const struct s3_upload *upload = uploads->first; upload; upload = upload->next)
        count++;
    pthread_mutex_unlock(&uploads->lock);
    return count;
}

void s3_uploads_close(struct s3_uploads *uploads)
{
    while (uploads->first) {
        struct s3_upload *upload = uploads->first;

        s3_loop_cancel(uploads->loop, &upload->request);
        s3_parts_drop(&upload->parts, upload->uploads->loop);
        if (upload->last)
            s3_part_close(upload->last);
        uploads->first = upload->next;
        release(upload);
    }
    pthread_cond_destroy(&uploads->gone);
    pthread_mutex_destroy(&uploads->lock);
}
