/* SPDX-License-Identifier: MIT */
/* What a store called the parts of an upload: the list that completes it is made of that. */
#ifndef S3_ETAGS_H
#define S3_ETAGS_H

#include <stddef.h>

struct s3_etags {
    char **texts; /* of part 1 and on; NULL where none has come yet */
    size_t count, room;
};

/* The text is copied. Returns 0, -ENOMEM, or -EINVAL for one that can't be a name. */
int s3_etags_keep(struct s3_etags *etags, unsigned number, const char *text);

/* The body of CompleteMultipartUpload, which the caller frees. NULL: no memory. */
char *s3_etags_list(const struct s3_etags *etags);

void s3_etags_done(struct s3_etags *etags);

#endif
