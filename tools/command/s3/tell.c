/* SPDX-License-Identifier: MIT */
#include "tell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SKEW_S = 60 }; /* of the clocks, that is worth a word */

static const struct {
    const char *code;
    int error;
    const char *remedy;
} known[] = {
    {"AccessDenied", EACCES,
     "these credentials need s3:PutObject and s3:AbortMultipartUpload on the bucket's objects"},
    {"NoSuchBucket", ENOENT, "make the bucket, or name another"},
    {"InvalidBucketName", ENOENT, "name a bucket as the store allows it"},
    {"InvalidAccessKeyId", EACCES, "the store doesn't know AWS_ACCESS_KEY_ID"},
    {"SignatureDoesNotMatch", EACCES, "AWS_SECRET_ACCESS_KEY or AWS_REGION is wrong"},
    {"AuthorizationHeaderMalformed", EACCES, "AWS_REGION is not the bucket's"},
    {"PermanentRedirect", EACCES, "AWS_REGION or AWS_ENDPOINT_URL is not the bucket's"},
    {"ExpiredToken", EACCES, "AWS_SESSION_TOKEN is over; start again with new credentials"},
    {"InvalidToken", EACCES, "AWS_SESSION_TOKEN is none of these keys"},
    {"RequestTimeTooSkewed", EACCES, "set this machine's clock"},
    {"QuotaExceeded", EDQUOT, "the bucket or its owner has reached a quota"},
    {"EntityTooSmall", EINVAL, "parts are too small for this store; use a larger --s3-part-size"},
    {"EntityTooLarge", EFBIG, "parts are too large for this store; use a smaller --s3-part-size"},
    {"NoSuchUpload", EIO, "somebody has aborted the upload, or a rule of the bucket"},
    {NULL, 0, NULL},
};

static const char *find_remedy(const char *code, int *error)
{
    size_t i = 0;

    while (known[i].code && strcmp(code, known[i].code) != 0)
        i++;
    *error = known[i].error;
    return known[i].remedy;
}

void s3_tell_outcome(char *text, size_t size, const struct s3_outcome *outcome)
{
    int error;
    const char *remedy = find_remedy(outcome->code, &error);
    size_t used;

    if (outcome->status == 0)
        used = (size_t)snprintf(text, size, ": no answer (%s)",
                                outcome->lost ? outcome->lost : "none was waited for");
    else
        used = (size_t)snprintf(
            text, size, ": %d%s%s%s%s%s", outcome->status, *outcome->code ? " " : "", outcome->code,
            *outcome->text ? " (" : "", outcome->text, *outcome->text ? ")" : "");
    if (outcome->attempts > 1 && used < size)
        used += (size_t)snprintf(text + used, size - used, " after %u attempts", outcome->attempts);
    if (remedy && used < size)
        used += (size_t)snprintf(text + used, size - used, "; %s", remedy);
    if ((outcome->ahead > SKEW_S || outcome->ahead < -SKEW_S) && used < size)
        snprintf(text + used, size - used, "; its clock is %lld seconds %s of this one",
                 outcome->ahead > 0 ? outcome->ahead : -outcome->ahead,
                 outcome->ahead > 0 ? "ahead" : "behind");
}

int s3_tell_errno(const struct s3_outcome *outcome)
{
    int error;

    if (find_remedy(outcome->code, &error))
        return -error;
    if (outcome->status == 0)
        return -ETIMEDOUT;
    if (outcome->status == 401 || outcome->status == 403)
        return -EACCES;
    return outcome->status == 507 ? -ENOSPC : -EIO;
}
