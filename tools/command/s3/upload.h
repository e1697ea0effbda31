/* SPDX-License-Identifier: MIT */
/* One stream on its way to be one object. The stream's thread fills parts and hands them over; all
 * else is done on the loop's thread: one request if there is one part, or a multipart upload, of
 * which nothing can be seen before it is completed and nothing is left once it is aborted. */
#ifndef S3_UPLOAD_H
#define S3_UPLOAD_H

#include "key.h"
#include "loop.h"
#include "memory.h"
#include "part.h"
#include "publication.h"

#include <pthread.h>
#include <stdatomic.h>

struct s3_upload;

/* What all uploads share. */
struct s3_uploads {
    struct s3_loop *loop;
    struct s3_memory *memory;
    uint64_t timeout_ns;
    /* From any thread: has a stream's sink called; tells a person. */
    void (*wake)(void *context, uint64_t id);
    void (*tell)(void *context, const char *text);
    void *context;

    pthread_mutex_t lock;
    pthread_cond_t gone;     /* count has become 0 */
    struct s3_upload *first; /* under the lock */
};

int s3_uploads_open(struct s3_uploads *uploads);

/* Waits so long for what is still to be aborted; returns how many uploads are left behind. */
unsigned s3_uploads_wait(struct s3_uploads *uploads, unsigned ms);

/* Once the loop's thread has ended. */
void s3_uploads_close(struct s3_uploads *uploads);

/* NULL: no memory. The stream's number is for wake. */
struct s3_upload *s3_upload_open(struct s3_uploads *uploads, uint64_t stream_id, const char *key);

/* Its memory, for the stream's thread. */
struct s3_lease *s3_upload_lease(struct s3_upload *upload);

/* Hands over a part that others will follow. */
void s3_upload_part(struct s3_upload *upload, struct s3_part *part);

/* 0, or the -errno with which it has failed already. */
int s3_upload_failed(const struct s3_upload *upload);

/* The stream has ended. whole: last is its last part, perhaps an empty one, and size all it had.
 * Else last is NULL, and nothing is to stay. Once for each upload. */
void s3_upload_end(struct s3_upload *upload, struct s3_part *last, bool whole, uint64_t size);

/* Instead of s3_upload_leave, for whoever can't wait: whether it is stored nobody knows. */
void s3_upload_give_up(struct s3_upload *upload);

/* After s3_upload_end. The stream is woken when it is no longer pending. */
enum s3_result s3_upload_result(struct s3_upload *upload);

/* The stream has no more to do with it, and is not woken any more. After s3_upload_end, or instead
 * of it if nothing was handed over. */
void s3_upload_leave(struct s3_upload *upload);

#endif
