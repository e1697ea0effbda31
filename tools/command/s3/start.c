/* SPDX-License-Identifier: MIT */
#include "start.h"

#include "answer.h"
#include "fail.h"
#include "key.h"
#include "tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { START_MS = 15000, PAGES_MAX = 1000 };

#define NS_PER_MS 1000000ull

/* One request without a body, to its end. */
struct question {
    struct s3_request request;
    struct s3_answer answer;
    void (*listed)(void *context, const struct s3_listed *listed);
    void *context;
    bool done;
};

static void on_answer(struct s3_request *request)
{
    struct question *question = (void *)request; /* its first member */

    if (request->answer_size > 0)
        s3_answer_read(&question->answer, request->answer, request->answer_size, question->listed,
                       question->context);
    question->done = true;
}

/* Returns the status. */
static int ask(const struct s3_start *start, struct question *question, const char *method,
               const char *key, const char *query)
{
    struct s3_request *request = &question->request;
    uint64_t most_ns = START_MS * NS_PER_MS;

    if (start->timeout_ns < most_ns)
        most_ns = start->timeout_ns;
    question->done = false;
    question->answer = (struct s3_answer){0};
    *request = (struct s3_request){
        .key = key, .until_ns = s3_loop_clock_ns() + most_ns, .done = on_answer};
    s3_loop_ask_bare(start->loop, request, method, query);
    s3_loop_run(start->loop, &question->done);
    return request->outcome.status;
}

/* Returns the status, or -ENOMEM. */
static int abort_upload(const struct s3_start *start, struct question *question, const char *key,
                        const char *upload_id)
{
    char query[16 + 3 * S3_UPLOAD_ID_SIZE] = "uploadId=";
    size_t used = strlen(query);

    if (sigv4_encode(query + used, sizeof(query) - used, upload_id, false) < 0)
        return -ENOMEM;
    return ask(start, question, "DELETE", key, query);
}

/* ---- may we? --------------------------------------------------------------------------------- */

static int refuse(const struct s3_start *start, const struct s3_outcome *outcome, const char *what,
                  struct lb_error *error)
{
    char text[400];

    s3_tell_outcome(text, sizeof(text), outcome);
    if (outcome->status == 0)
        return s3_fail(error, s3_tell_errno(outcome),
                       "s3:%s: %s%s; is AWS_ENDPOINT_URL right, and the store up?", start->bucket,
                       what, text);
    return s3_fail(error, s3_tell_errno(outcome), "s3:%s: %s%s", start->bucket, what, text);
}

static int try_out(const struct s3_start *start, struct question *question, struct lb_error *error)
{
    char key[S3_NAME_SIZE];
    int rc = s3_key_make(key, start->prefix, start->mark), status;

    if (rc < 0)
        return s3_fail(error, rc, "s3: no random bytes: %s", strerror(-rc));
    status = ask(start, question, "POST", key, "uploads=");
    if (status != 200)
        return refuse(start, &question->request.outcome, "can't be written to", error);
    if (!*question->answer.upload_id)
        return s3_fail(error, -EPROTO,
                       "s3:%s: what answers at AWS_ENDPOINT_URL is no store: an upload that was "
                       "begun has no UploadId",
                       start->bucket);
    status = abort_upload(start, question, key, question->answer.upload_id);
    if (status != 204 && status != 200)
        return refuse(start, &question->request.outcome, "an upload can't be aborted", error);
    return 0;
}

int s3_start_check(const struct s3_start *start, struct lb_error *error)
{
    struct question *question = calloc(1, sizeof(*question));
    int rc = question ? try_out(start, question, error) : s3_fail(error, -ENOMEM, "out of memory");

    free(question);
    return rc;
}

/* ---- what was left --------------------------------------------------------------------------- */

struct left {
    struct s3_listed *uploads;
    size_t count, room;
    const struct s3_start *start;
};

static void keep(void *context, const struct s3_listed *listed)
{
    struct left *left = context;
    struct s3_listed *longer;

    if (!s3_key_is_ours(listed->key, left->start->prefix, left->start->mark))
        return;
    if (left->count == left->room) {
        longer = realloc(left->uploads, (2 * left->room + 8) * sizeof(*longer));
        if (!longer)
            return;
        left->uploads = longer;
        left->room = 2 * left->room + 8;
    }
    left->uploads[left->count++] = *listed;
}

static bool add(char *query, size_t size, const char *name, const char *value)
{
    size_t used = strlen(query);

    if (!*value)
        return true;
    used += (size_t)snprintf(query + used, size - used, "%s%s=", used ? "&" : "", name);
    return used < size && sigv4_encode(query + used, size - used, value, false) > 0;
}

/* One page of the list. Returns false after the last. */
static bool list_page(const struct s3_start *start, struct question *question, const char *key,
                      const char *upload_id)
{
    char query[9000] = "";
    char text[500];
    int used;

    if (!add(query, sizeof(query), "key-marker", key) ||
        !add(query, sizeof(query), "prefix", start->prefix) ||
        !add(query, sizeof(query), "upload-id-marker", upload_id))
        return false;
    snprintf(query + strlen(query), sizeof(query) - strlen(query), "%suploads=", *query ? "&" : "");
    if (ask(start, question, "GET", NULL, query) == 200)
        return question->answer.truncated && *question->answer.next_key;
    used = snprintf(text, sizeof(text), "s3:%s: uploads that were left can't be listed",
                    start->bucket);
    s3_tell_outcome(text + used, sizeof(text) - (size_t)used, &question->request.outcome);
    start->tell(start->context, LB_NOTE_WARNING, text);
    return false;
}

static void list_all(const struct s3_start *start, struct question *question, struct left *left)
{
    struct s3_answer *before = calloc(1, sizeof(*before));

    question->listed = keep;
    question->context = left;
    for (unsigned page = 0; before && page < PAGES_MAX; page++) {
        if (!list_page(start, question, before->next_key, before->next_upload_id))
            break;
        *before = question->answer;
    }
    free(before);
    question->listed = NULL;
}

static void abort_all(const struct s3_start *start, struct question *question,
                      const struct left *left)
{
    char text[400];
    size_t aborted = 0;

    for (size_t i = 0; i < left->count; i++) {
        const struct s3_listed *upload = &left->uploads[i];
        int status = abort_upload(start, question, upload->key, upload->upload_id);

        if (status == 204 || status == 200 || status == 404) {
            aborted++;
            continue;
        }
        int used = snprintf(text, sizeof(text), "s3:%s: %.255s: was left, and can't be aborted",
                            start->bucket, upload->key);
        s3_tell_outcome(text + used, sizeof(text) - (size_t)used, &question->request.outcome);
        start->tell(start->context, LB_NOTE_WARNING, text);
    }
    if (aborted > 0) {
        snprintf(text, sizeof(text),
                 "s3:%s: aborted %zu upload%s that an earlier run had left (mark %s)",
                 start->bucket, aborted, aborted == 1 ? "" : "s", start->mark);
        start->tell(start->context, LB_NOTE_WARNING, text);
    }
}

void s3_start_sweep(const struct s3_start *start)
{
    struct question *question = calloc(1, sizeof(*question));
    struct left left = {.start = start};

    if (question) {
        list_all(start, question, &left);
        abort_all(start, question, &left);
    }
    free(left.uploads);
    free(question);
}
