/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include "answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    ANSWER_MAX = 4 << 20,
    UPLOAD_BUFFER = 256 << 10,
    CONNECT_MS = 10000, /* for a connection to be made */
    STALL_S = 30,       /* without a byte in either direction */
};

struct s3_transfer {
    const struct s3_store *store;
    CURL *handle;
    struct s3_request *request;
    struct curl_slist *headers;
    unsigned piece; /* of the body, which is to be sent next */
    size_t offset;  /* in it */
    long long date; /* of the answer */
    bool out_of_memory;
};

struct s3_request *s3_transfer_request(const struct s3_transfer *transfer)
{
    return transfer->request;
}

CURL *s3_transfer_handle(const struct s3_transfer *transfer)
{
    return transfer->handle;
}

struct s3_transfer *s3_transfer_open(const struct s3_store *store)
{
    struct s3_transfer *transfer = calloc(1, sizeof(*transfer));

    if (!transfer)
        return NULL;
    transfer->store = store;
    transfer->handle = curl_easy_init();
    if (transfer->handle)
        return transfer;
    free(transfer);
    return NULL;
}

static void forget(struct s3_transfer *transfer)
{
    /* One of them may hold a session's token. */
    for (struct curl_slist *header = transfer->headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data));
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
}

void s3_transfer_close(struct s3_transfer *transfer)
{
    if (!transfer)
        return;
    forget(transfer);
    curl_easy_cleanup(transfer->handle);
    free(transfer);
}

/* ---- what curl asks -------------------------------------------------------------------------- */

static size_t on_read(char *buffer, size_t unit, size_t count, void *data)
{
    struct s3_transfer *transfer = data;
    const struct s3_request *request = transfer->request;
    size_t room = unit * count, given = 0;

    while (given < room && transfer->piece < request->body_count) {
        const struct iovec *piece = &request->body[transfer->piece];
        size_t rest = piece->iov_len - transfer->offset;
        size_t size = rest < room - given ? rest : room - given;

        memcpy(buffer + given, (const char *)piece->iov_base + transfer->offset, size);
        given += size;
        transfer->offset += size;
        if (transfer->offset == piece->iov_len) {
            transfer->piece++;
            transfer->offset = 0;
        }
    }
    return given;
}

/* A connection that was kept alive had gone: from the beginning. What had arrived nobody knows. */
static int on_seek(void *data, curl_off_t offset, int origin)
{
    struct s3_transfer *transfer = data;

    if (origin != SEEK_SET || offset != 0)
        return CURL_SEEKFUNC_CANTSEEK;
    transfer->piece = 0;
    transfer->offset = 0;
    transfer->request->outcome.ever_unanswered = true;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *data, size_t unit, size_t count, void *context)
{
    struct s3_transfer *transfer = context;
    struct s3_request *request = transfer->request;
    size_t size = unit * count;
    char *grown;

    if (request->answer_size + size > ANSWER_MAX)
        return 0;
    grown = realloc(request->answer, request->answer_size + size + 1);
    if (!grown)
        return 0;
    memcpy(grown + request->answer_size, data, size);
    request->answer = grown;
    request->answer_size += size;
    return size;
}

/* The value of a header of this name, or NULL; it goes on to *end. */
static const char *header_value(const char *line, size_t size, const char *name, const char **end)
{
    size_t length = strlen(name);

    if (size <= length || line[length] != ':' || strncasecmp(line, name, length) != 0)
        return NULL;
    *end = line + size;
    for (line += length + 1; line < *end && (*line == ' ' || *line == '\t'); line++)
        ;
    while (*end > line && strchr("\r\n \t", (*end)[-1]))
        --*end;
    return line;
}

static size_t on_header(char *data, size_t unit, size_t count, void *context)
{
    struct s3_transfer *transfer = context;
    struct s3_outcome *outcome = &transfer->request->outcome;
    const char *end, *value = header_value(data, unit * count, "etag", &end);

    if (value && (size_t)(end - value) < sizeof(outcome->etag))
        snprintf(outcome->etag, sizeof(outcome->etag), "%.*s", (int)(end - value), value);
    value = header_value(data, unit * count, "date", &end);
    if (value && end - value < 64) {
        char date[64];

        snprintf(date, sizeof(date), "%.*s", (int)(end - value), value);
        transfer->date = (long long)curl_getdate(date, NULL);
    }
    return unit * count;
}

/* ---- an attempt ------------------------------------------------------------------------------ */

static void add_header(struct s3_transfer *transfer, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 3;
    char *line = malloc(size);
    struct curl_slist *longer = NULL;

    if (line) {
        snprintf(line, size, "%s:%s%s", name, *value ? " " : "", value);
        longer = curl_slist_append(transfer->headers, line);
        explicit_bzero(line, size);
    }
    free(line);
    if (longer)
        transfer->headers = longer;
    else
        transfer->out_of_memory = true;
}

/* Path and what is signed. */
static void sign(struct s3_transfer *transfer, const char *path)
{
    const struct s3_credentials *credentials = transfer->store->credentials;
    const struct s3_request *request = transfer->request;
    const struct sigv4_key key = {credentials->access_key, credentials->secret, credentials->region,
                                  "s3"};
    char stamp[SIGV4_STAMP_SIZE], authorization[SIGV4_AUTHORIZATION_SIZE];
    const struct sigv4_header headers[] = {
        {"host", transfer->store->endpoint->authority},
        {"x-amz-content-sha256", request->payload},
        {"x-amz-date", stamp},
        {"x-amz-security-token", credentials->token},
    };
    const struct sigv4_request signed_one = {
        .method = request->method,
        .path = path,
        .query = request->query ? request->query : "",
        .headers = headers,
        .header_count = *credentials->token ? 4 : 3,
        .payload = request->payload,
    };

    sigv4_stamp(stamp, (long long)time(NULL));
    if (sigv4_sign(&key, &signed_one, stamp, authorization) < 0)
        transfer->out_of_memory = true;
    for (size_t i = 1; i < signed_one.header_count; i++)
        add_header(transfer, headers[i].name, headers[i].value);
    add_header(transfer, "Authorization", authorization);
}

static void set_url(struct s3_transfer *transfer)
{
    const struct s3_endpoint *endpoint = transfer->store->endpoint;
    const struct s3_request *request = transfer->request;
    const char *key = request->key, *query = request->query ? request->query : "";
    size_t size = strlen(endpoint->url) + strlen(endpoint->path) + (key ? strlen(key) : 0) +
                  strlen(query) + 3;
    char *url = malloc(size);
    size_t path = strlen(endpoint->url), path_size;

    if (!url) {
        transfer->out_of_memory = true;
        return;
    }
    path_size =
        (size_t)snprintf(url, size, "%s%s/%s", endpoint->url, endpoint->path, key ? key : "") -
        path;
    /* A bucket in the path has no slash behind it. */
    if (!key && path_size > 1)
        url[path + --path_size] = '\0';
    sign(transfer, url + path);
    if (*query)
        snprintf(url + path + path_size, size - path - path_size, "?%s", query);
    curl_easy_setopt(transfer->handle, CURLOPT_URL, url);
    free(url);
}

static void set_body(struct s3_transfer *transfer)
{
    const struct s3_request *request = transfer->request;
    CURL *handle = transfer->handle;
    bool sends = strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0;

    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
    if (!sends)
        return;
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
    curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(handle, CURLOPT_READDATA, transfer);
    curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(handle, CURLOPT_SEEKDATA, transfer);
    /* Not to be waited for. */
    add_header(transfer, "Expect", "");
}

static void set_options(struct s3_transfer *transfer, long most_ms)
{
    const struct s3_endpoint *endpoint = transfer->store->endpoint;
    CURL *handle = transfer->handle;
    struct curl_blob certificates = {endpoint->certificates, endpoint->certificates_size,
                                     CURL_BLOB_NOCOPY};

    curl_easy_setopt(handle, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, endpoint->https ? "https" : "http");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* Its name would have to be looked up. */
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_RESOLVE, endpoint->addresses);
    if (endpoint->certificates)
        curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &certificates);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, most_ms);
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer);
}

CURL *s3_transfer_begin(struct s3_transfer *transfer, struct s3_request *request, long most_ms)
{
    struct s3_outcome *outcome = &request->outcome;

    transfer->request = request;
    transfer->piece = 0;
    transfer->offset = 0;
    transfer->date = -1;
    transfer->out_of_memory = false;
    request->answer_size = 0;
    *outcome = (struct s3_outcome){.ever_unanswered = outcome->ever_unanswered,
                                   .attempts = outcome->attempts + 1};
    forget(transfer); /* an attempt that could not begin */
    curl_easy_reset(transfer->handle);
    set_options(transfer, most_ms);
    set_body(transfer);
    set_url(transfer);
    curl_easy_setopt(transfer->handle, CURLOPT_HTTPHEADER, transfer->headers);
    return transfer->out_of_memory ? NULL : transfer->handle;
}

/* ---- its outcome ----------------------------------------------------------------------------- */

/* An <Error> may stand in an answer whose status says that all is well. */
static int read_answer(struct s3_request *request)
{
    struct s3_outcome *outcome = &request->outcome;
    struct s3_answer *answer = malloc(sizeof(*answer));
    int rc = answer ? s3_answer_read(answer, request->answer, request->answer_size, NULL, NULL)
                    : -ENOMEM;

    if (rc == 0 && strcmp(answer->root, "Error") == 0) {
        memcpy(outcome->code, answer->code, sizeof(outcome->code));
        memcpy(outcome->text, answer->text, sizeof(outcome->text));
        if (!*outcome->code)
            snprintf(outcome->code, sizeof(outcome->code), "Error");
    }
    free(answer);
    return rc;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words;
}

/* The store may do it another time. */
static bool passes(const struct s3_outcome *outcome)
{
    static const char *const codes[] = {"InternalError",
                                        "SlowDown",
                                        "ServiceUnavailable",
                                        "RequestTimeout",
                                        "OperationAborted",
                                        "TooManyRequests",
                                        "Throttling",
                                        "RequestLimitExceeded",
                                        "Busy",
                                        NULL};
    int status = outcome->status;

    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504 || is_one_of(outcome->code, codes);
}

/* What doesn't become better by being tried again. */
static bool is_for_ever(CURLcode result)
{
    return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE ||
           result == CURLE_SSL_ISSUER_ERROR || result == CURLE_UNSUPPORTED_PROTOCOL ||
           result == CURLE_URL_MALFORMAT;
}

bool s3_transfer_end(struct s3_transfer *transfer, CURLcode result)
{
    struct s3_request *request = transfer->request;
    struct s3_outcome *outcome = &request->outcome;
    curl_off_t size = -1;
    long status = 0;

    curl_easy_getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    forget(transfer);
    if (transfer->date > 0)
        outcome->ahead = transfer->date - (long long)time(NULL);
    if (result == CURLE_OK && request->answer_size > 0 && read_answer(request) < 0)
        result = CURLE_OUT_OF_MEMORY;
    if (result != CURLE_OK) {
        outcome->lost = curl_easy_strerror(result);
        /* A connection that was never made has brought nothing there. */
        outcome->ever_unanswered |=
            result != CURLE_COULDNT_CONNECT && result != CURLE_SSL_CONNECT_ERROR;
        return !is_for_ever(result);
    }
    outcome->status = (int)status;
    outcome->size = size > 0 ? (uint64_t)size : 0;
    return passes(outcome);
}
