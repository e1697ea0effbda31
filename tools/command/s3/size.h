/* SPDX-License-Identifier: MIT */
#ifndef S3_SIZE_H
#define S3_SIZE_H

#include <stdint.h>

/* How large the next part of a stream should be that has had so many bytes: as the first, soon
 * twice that, and grown with the stream once the number of parts would not do, so that the largest
 * object fits and a small one takes little memory. */
uint64_t s3_size_of_part(uint64_t had, uint64_t first, unsigned max_parts);

#endif
