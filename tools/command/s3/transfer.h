/* SPDX-License-Identifier: MIT */
/* One attempt at a request, with libcurl: signed, sent, its answer collected. */
#ifndef S3_TRANSFER_H
#define S3_TRANSFER_H

#include "loop.h"

#include <curl/curl.h>

struct s3_transfer;

/* What is the same for all of them. */
struct s3_store {
    const struct s3_endpoint *endpoint;
    const struct s3_credentials *credentials;
};

/* Makes one that can be used again and again. NULL: no memory. */
struct s3_transfer *s3_transfer_open(const struct s3_store *store);
void s3_transfer_close(struct s3_transfer *transfer);

/* Prepares an attempt, which may take so long. Returns what is to be added to a multi handle, whose
 * CURLOPT_PRIVATE is the transfer; or NULL: no memory. */
CURL *s3_transfer_begin(struct s3_transfer *transfer, struct s3_request *request, long most_ms);

/* It has ended so: fills the request's outcome and answer. Returns true if another attempt may have
 * another outcome. */
bool s3_transfer_end(struct s3_transfer *transfer, CURLcode result);

struct s3_request *s3_transfer_request(const struct s3_transfer *transfer);
CURL *s3_transfer_handle(const struct s3_transfer *transfer);

#endif
