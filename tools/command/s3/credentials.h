/* SPDX-License-Identifier: MIT */
/* Who we are to a store: as the AWS command line finds it, in the environment or the shared file.
 */
#ifndef S3_CREDENTIALS_H
#define S3_CREDENTIALS_H

#include <lastbyte/lastbyte.h>

struct s3_credentials {
    char access_key[160];
    char secret[200];
    char token[4096]; /* of a session; empty: none */
    char region[64];
};

/* From AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; where the first two are not
 * set, from the section of AWS_PROFILE ("default") in AWS_SHARED_CREDENTIALS_FILE or
 * ~/.aws/credentials. The region is AWS_REGION, AWS_DEFAULT_REGION or us-east-1. What the
 * environment held of them is wiped there. On success *credentials are the caller's, in memory that
 * is in no core (s3_credentials_close). Returns 0, or -errno with the remedy in error. */
int s3_credentials_open(struct s3_credentials **credentials, struct lb_error *error);
void s3_credentials_close(struct s3_credentials *credentials);

#endif
