/* SPDX-License-Identifier: MIT */
#include "upload.h"

#include "multipart.h"
#include "publication.h"
#include "tell.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_MS 1000000ull

struct s3_upload {
    struct s3_uploads *uploads;
    uint64_t stream_id;
    char key[S3_NAME_SIZE];
    struct s3_lease lease;
    atomic_int error; /* -errno, once it has failed */

    /* The loop's. */
    struct s3_task end_task, give_up_task;
    struct s3_multipart multipart;
    struct s3_publication publication;
    struct s3_part *only; /* which is all of the stream */
    bool ended, whole;    /* what the stream's thread has said of its end has been taken over */
    uint64_t end_ns;

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

/* ---- what is told ---------------------------------------------------------------------------- */

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

/* ---- its way --------------------------------------------------------------------------------- */

static void release(struct s3_upload *upload)
{
    struct s3_uploads *uploads = upload->uploads;

    s3_publication_close(&upload->publication);
    s3_multipart_close(&upload->multipart);
    if (upload->only)
        s3_part_close(upload->only);
    s3_memory_leave(uploads->memory, &upload->lease);
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

/* Until when what belongs to the stream may be tried. */
static uint64_t patience(const struct s3_upload *upload)
{
    return (upload->ended ? upload->end_ns : s3_loop_clock_ns()) + upload->uploads->timeout_ns;
}

static void drop_parts(struct s3_upload *upload)
{
    s3_multipart_drop(&upload->multipart);
    if (upload->only)
        s3_part_close(upload->only);
    upload->only = NULL;
}

static void give_back(struct s3_upload *upload)
{
    enum s3_result result = upload->publication.result;

    drop_parts(upload);
    /* Which need not wait for what is to be aborted. */
    if (upload->ended)
        announce(upload, result == S3_PENDING ? S3_FAILED : result);
    if (!s3_multipart_abort(&upload->multipart) && upload->ended)
        drop(upload);
}

static void publish(struct s3_upload *upload)
{
    struct s3_publication *publication = &upload->publication;

    publication->size = upload->end.size;
    if (upload->only) {
        s3_publication_put(publication, upload->only, patience(upload));
    } else if (s3_publication_complete(publication, &upload->multipart, patience(upload)) < 0) {
        fail(upload, "out of memory", &(struct s3_outcome){0});
        give_back(upload);
    }
}

/* Begins whatever may begin now. */
static void proceed(struct s3_upload *upload)
{
    struct s3_multipart *multipart = &upload->multipart;

    if (s3_loop_has(&multipart->request) || s3_loop_has(&upload->publication.request))
        return;
    if (upload->publication.result == S3_STORED) {
        announce(upload, S3_STORED);
        drop(upload);
    } else if (upload->error || (upload->ended && !upload->whole)) {
        give_back(upload);
    } else if (multipart->parts) {
        s3_multipart_proceed(multipart, patience(upload));
    } else if (upload->ended) {
        publish(upload);
    }
}

static void on_multipart(struct s3_multipart *multipart, const char *wrong,
                         const struct s3_outcome *outcome)
{
    struct s3_upload *upload = multipart->owner;

    if (wrong && multipart->aborted)
        tell(upload, wrong, outcome);
    else if (wrong)
        fail(upload, wrong, outcome);
    proceed(upload);
}

static void on_published(struct s3_publication *publication)
{
    struct s3_upload *upload = publication->owner;

    drop_parts(upload);
    if (publication->wrong)
        fail(upload, publication->wrong, &publication->request.outcome);
    proceed(upload);
}

/* ---- what the stream's thread has handed over ------------------------------------------------ */

static void take_part(struct s3_task *task)
{
    struct s3_part *part = (void *)task; /* its first member */
    struct s3_upload *upload = part->upload;

    if (upload->error) {
        s3_part_close(part);
        return;
    }
    s3_multipart_add(&upload->multipart, part);
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
    upload->end_ns = s3_loop_clock_ns();
    if (last && last->number == 1)
        upload->only = last;
    else if (last && last->size > 0)
        s3_multipart_add(&upload->multipart, last);
    else if (last)
        s3_part_close(last);
    proceed(upload);
}

/* Whatever the store would have answered. */
static void take_give_up(struct s3_task *task)
{
    struct s3_upload *upload = UPLOAD_OF(task, give_up_task);

    if (upload->told == S3_PENDING && !upload->error) {
        s3_publication_close(&upload->publication);
        s3_loop_cancel(upload->uploads->loop, &upload->multipart.request);
        upload->error = -ECANCELED;
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
    upload->multipart = (struct s3_multipart){
        .loop = uploads->loop, .key = upload->key, .done = on_multipart, .owner = upload};
    upload->publication = (struct s3_publication){.loop = uploads->loop,
                                                  .key = upload->key,
                                                  .timeout_ns = uploads->timeout_ns,
                                                  .done = on_published,
                                                  .owner = upload};
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

        uploads->first = upload->next;
        release(upload);
    }
    pthread_cond_destroy(&uploads->gone);
    pthread_mutex_destroy(&uploads->lock);
}
