/* SPDX-License-Identifier: MIT */
#include "publication.h"

#include "answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_MS = 10000 };

#define NS_PER_MS 1000000ull

static void end(struct s3_publication *publication, enum s3_result result, const char *wrong)
{
    publication->result = result;
    publication->wrong = wrong;
    publication->done(publication);
}

/* ---- is it there? ---------------------------------------------------------------------------- */

/* The key is ours and unique: if an object of the right size has it, that is the stream's. */
static void on_checked(struct s3_request *request)
{
    struct s3_publication *publication = request->owner;
    const struct s3_outcome *outcome = &request->outcome;

    if (outcome->status == 200 && outcome->size == publication->size)
        end(publication, S3_STORED, NULL);
    else if (outcome->status == 200)
        end(publication, S3_FAILED, "has another size than was sent");
    else if (outcome->status == 404 && !publication->lost)
        end(publication, S3_FAILED, "is not there");
    else
        end(publication, S3_IN_DOUBT, "nobody knows whether it is stored");
}

static void check(struct s3_publication *publication)
{
    struct s3_request *request = &publication->request;
    uint64_t least_ns = CHECK_MS * NS_PER_MS;

    if (least_ns > publication->timeout_ns)
        least_ns = publication->timeout_ns;
    least_ns += s3_loop_clock_ns();
    if (request->until_ns < least_ns)
        request->until_ns = least_ns;
    request->done = on_checked;
    s3_loop_ask_bare(publication->loop, request, "HEAD", NULL);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* An <Error> may come with a status of 200; and to a list, only a part of what says that it is
 * done. */
static bool is_stored(const struct s3_publication *publication)
{
    const struct s3_request *request = &publication->request;

    return request->outcome.status == 200 && !*request->outcome.code &&
           (!publication->list.iov_base ||
            s3_answer_is(request->answer, request->answer_size, "CompleteMultipartUploadResult"));
}

/* Nobody knows what was done. */
static bool is_lost(const struct s3_outcome *outcome)
{
    return outcome->status == 0 || outcome->ever_unanswered ||
           (outcome->status == 200 && !*outcome->code);
}

static void on_answer(struct s3_request *request)
{
    struct s3_publication *publication = request->owner;
    const struct s3_outcome *outcome = &request->outcome;
    bool stored = is_stored(publication);
    const char *wrong = publication->list.iov_base ? "can't be completed" : "can't be stored";

    publication->lost = is_lost(outcome);
    free(publication->list.iov_base);
    publication->list.iov_base = NULL;
    if (stored)
        end(publication, S3_STORED, NULL);
    else if (publication->lost || outcome->status >= 500 ||
             strcmp(outcome->code, "NoSuchUpload") == 0)
        check(publication);
    else
        end(publication, S3_FAILED, wrong);
}

/* ---- the question ---------------------------------------------------------------------------- */

static void ask(struct s3_publication *publication, const char *method, const struct iovec *body,
                unsigned count, uint64_t until_ns)
{
    struct s3_request *request = &publication->request;

    request->method = method;
    request->key = publication->key;
    request->body = body;
    request->body_count = count;
    request->body_size = 0;
    for (unsigned i = 0; i < count; i++)
        request->body_size += body[i].iov_len;
    request->until_ns = until_ns;
    request->done = on_answer;
    request->owner = publication;
    s3_loop_ask(publication->loop, request);
}

void s3_publication_put(struct s3_publication *publication, const struct s3_part *part,
                        uint64_t until_ns)
{
    struct s3_request *request = &publication->request;

    request->query = NULL;
    memcpy(request->payload, part->request.payload, sizeof(request->payload));
    ask(publication, "PUT", part->blocks, part->count, until_ns);
}

int s3_publication_complete(struct s3_publication *publication,
                            const struct s3_multipart *multipart, uint64_t until_ns)
{
    struct s3_request *request = &publication->request;
    char *list = s3_etags_list(&multipart->etags);

    if (!list)
        return -ENOMEM;
    publication->list = (struct iovec){list, strlen(list)};
    request->query = multipart->query;
    sigv4_hash(list, publication->list.iov_len, request->payload);
    ask(publication, "POST", &publication->list, 1, until_ns);
    return 0;
}

void s3_publication_close(struct s3_publication *publication)
{
    s3_loop_cancel(publication->loop, &publication->request);
    free(publication->list.iov_base);
    publication->list.iov_base = NULL;
}
