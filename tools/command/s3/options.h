/* SPDX-License-Identifier: MIT */
#ifndef S3_OPTIONS_H
#define S3_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* What the command line says of the sink s3; zero is the default of each. */
struct s3_options {
    uint64_t memory;     /* bytes, of all streams; default 256 MiB */
    uint64_t part_size;  /* bytes of a stream's first part; default 8 MiB */
    uint64_t timeout_ms; /* how long a request may be tried; default 300000 */
    unsigned max_parts;  /* of an object; default 10000 */
    bool unsigned_payload;
    const char *id; /* the receiver's mark; NULL: the one that is kept */
};

enum {
    S3_PART_LEAST = 5 << 20, /* of AWS; the last may be smaller */
    S3_PARTS_MOST = 10000,
};
#define S3_PART_MOST (5ull << 30)
#define S3_OBJECT_MOST (5ull << 40)

#endif
