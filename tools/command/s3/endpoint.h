/* SPDX-License-Identifier: MIT */
/* Where a bucket is: its store's URL, addresses and certificates, all found at the start, so that
 * nothing is looked up or read later. */
#ifndef S3_ENDPOINT_H
#define S3_ENDPOINT_H

#include <lastbyte/lastbyte.h>

#include <stdbool.h>
#include <stddef.h>

struct curl_slist;

struct s3_endpoint {
    bool https;
    bool remote;                  /* not all of its addresses are this machine's */
    char authority[320];          /* as the header Host has it */
    char path[320];               /* encoded, of the bucket, without a slash at its end */
    char url[700];                /* scheme, authority; path and the rest come behind it */
    struct curl_slist *addresses; /* as CURLOPT_RESOLVE wants them, or NULL */
    void *certificates;           /* of those who may vouch for the store, or NULL: the default */
    size_t certificates_size;
};

/* From AWS_ENDPOINT_URL, or else that of AWS for the region. The bucket stands in the path where
 * the endpoint has a port or is an address, else before the host. Returns 0, or -errno with the
 * remedy in error; then nothing is left to close. */
int s3_endpoint_open(struct s3_endpoint *endpoint, const char *bucket, const char *region,
                     struct lb_error *error);
void s3_endpoint_close(struct s3_endpoint *endpoint);

#endif
