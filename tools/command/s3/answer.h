/* SPDX-License-Identifier: MIT */
/* What a store answers, in XML. */
#ifndef S3_ANSWER_H
#define S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum { S3_KEY_SIZE = 1025, S3_UPLOAD_ID_SIZE = 1024 };

/* What is told of, once for each <Upload> of a list. */
struct s3_listed {
    char key[S3_KEY_SIZE];
    char upload_id[S3_UPLOAD_ID_SIZE];
};

struct s3_answer {
    bool whole;     /* it is an element from its first tag to its last */
    char root[40];  /* what that is called */
    char code[64];  /* of an <Error> */
    char text[200]; /* its <Message> */
    char upload_id[S3_UPLOAD_ID_SIZE];
    bool truncated; /* a list that goes on behind these */
    char next_key[S3_KEY_SIZE];
    char next_upload_id[S3_UPLOAD_ID_SIZE];
};

/* Reads an answer. Of a list each upload is told. Returns 0 or -ENOMEM; what is no XML, or only the
 * begin of some, is not whole. A value that is too long is left out. */
int s3_answer_read(struct s3_answer *answer, const char *text, size_t size,
                   void (*tell)(void *context, const struct s3_listed *listed), void *context);

/* The UploadId of an answer, encoded for a query, which the caller frees; NULL: it has none that is
 * whole, or there is no memory. */
char *s3_answer_upload_id(const char *text, size_t size);

/* It is such an element, whole. */
bool s3_answer_is(const char *text, size_t size, const char *root);

#endif
