/* SPDX-License-Identifier: MIT */
#include "multipart.h"

#include "answer.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { ABORT_MS = 60000 };

#define NS_PER_MS 1000000ull

#define PART_OF(sent) ((struct s3_part *)(void *)((char *)(sent)-offsetof(struct s3_part, request)))

static void tell(struct s3_multipart *multipart, const char *wrong,
                 const struct s3_outcome *outcome)
{
    multipart->done(multipart, wrong, outcome);
}

static void ask(struct s3_multipart *multipart, const char *method, const char *query,
                uint64_t until_ns, void (*done)(struct s3_request *request))
{
    struct s3_request *request = &multipart->request;

    request->key = multipart->key;
    request->until_ns = until_ns;
    request->done = done;
    request->owner = multipart;
    s3_loop_ask_bare(multipart->loop, request, method, query);
}

/* "partNumber=N&uploadId=ID", or without the first. NULL: no memory. */
static char *make_query(const struct s3_multipart *multipart, unsigned number)
{
    char *query = NULL;
    int size = number ? asprintf(&query, "partNumber=%u&uploadId=%s", number, multipart->id)
                      : asprintf(&query, "uploadId=%s", multipart->id);

    return size < 0 ? NULL : query;
}

/* ---- its beginning --------------------------------------------------------------------------- */

static bool keep_id(struct s3_multipart *multipart, const struct s3_request *request)
{
    multipart->id = s3_answer_upload_id(request->answer, request->answer_size);
    if (multipart->id)
        multipart->query = make_query(multipart, 0);
    return multipart->query != NULL;
}

static void on_begun(struct s3_request *request)
{
    struct s3_multipart *multipart = request->owner;
    bool good = request->outcome.status == 200 && keep_id(multipart, request);

    tell(multipart, good ? NULL : "no upload can be begun", &request->outcome);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void on_part(struct s3_request *request)
{
    struct s3_multipart *multipart = request->owner;
    struct s3_part *part = PART_OF(request);
    const struct s3_outcome outcome = request->outcome; /* the part goes */
    const char *wrong = NULL;

    if (outcome.status != 200 || *outcome.code)
        wrong = "a part can't be stored";
    else if (s3_etags_keep(&multipart->etags, part->number, outcome.etag) < 0)
        wrong = "a part was stored without a name";
    s3_parts_remove(&multipart->parts, part);
    s3_part_close(part);
    tell(multipart, wrong, &outcome);
}

static void send(struct s3_multipart *multipart, struct s3_part *part, uint64_t until_ns)
{
    struct s3_request *request = &part->request;

    part->sent = true;
    request->is_part = true;
    request->method = "PUT";
    request->key = multipart->key;
    request->query = part->query;
    request->body = part->blocks;
    request->body_count = part->count;
    request->body_size = part->size;
    request->until_ns = until_ns;
    request->done = on_part;
    request->owner = multipart;
    s3_loop_ask(multipart->loop, request);
}

void s3_multipart_add(struct s3_multipart *multipart, struct s3_part *part)
{
    s3_parts_add(&multipart->parts, part);
}

void s3_multipart_proceed(struct s3_multipart *multipart, uint64_t until_ns)
{
    if (!multipart->id) {
        ask(multipart, "POST", "uploads=", until_ns, on_begun);
        return;
    }
    for (struct s3_part *part = multipart->parts; part; part = part->next) {
        if (part->sent)
            continue;
        part->query = make_query(multipart, part->number);
        if (!part->query) {
            tell(multipart, "out of memory", &(struct s3_outcome){0});
            return;
        }
        send(multipart, part, until_ns);
    }
}

/* ---- its end --------------------------------------------------------------------------------- */

void s3_multipart_drop(struct s3_multipart *multipart)
{
    s3_parts_drop(&multipart->parts, multipart->loop);
}

static void on_aborted(struct s3_request *request)
{
    struct s3_multipart *multipart = request->owner;
    int status = request->outcome.status;
    bool gone = status == 204 || status == 200 || status == 404;

    multipart->aborted = true;
    tell(multipart, gone ? NULL : "its upload is left until the next start", &request->outcome);
}

bool s3_multipart_abort(struct s3_multipart *multipart)
{
    if (!multipart->id || multipart->aborted)
        return false;
    ask(multipart, "DELETE", multipart->query, s3_loop_clock_ns() + ABORT_MS * NS_PER_MS,
        on_aborted);
    return true;
}

void s3_multipart_close(struct s3_multipart *multipart)
{
    s3_loop_cancel(multipart->loop, &multipart->request);
    s3_multipart_drop(multipart);
    s3_etags_done(&multipart->etags);
    free(multipart->id);
    free(multipart->query);
}
