/* SPDX-License-Identifier: MIT */
#include "part.h"

#include <stdlib.h>

struct s3_part *s3_part_open(struct s3_memory *memory, struct s3_lease *lease, unsigned number,
                             size_t room)
{
    size_t count = (room + S3_BLOCK_SIZE - 1) / S3_BLOCK_SIZE;
    struct s3_part *part = calloc(1, sizeof(*part) + count * sizeof(part->blocks[0]));

    if (!part)
        return NULL;
    part->memory = memory;
    part->lease = lease;
    part->number = number;
    part->room = room;
    return part;
}

size_t s3_part_room(struct s3_part *part, uint8_t **data)
{
    struct iovec *last = part->blocks + part->count - 1;
    size_t rest = part->room - part->size;

    if (part->count == 0 || last->iov_len == S3_BLOCK_SIZE) {
        void *block = s3_memory_take(part->memory, part->lease);

        if (!block)
            return 0;
        last = &part->blocks[part->count++];
        *last = (struct iovec){block, 0};
    }
    *data = (uint8_t *)last->iov_base + last->iov_len;
    return rest < S3_BLOCK_SIZE - last->iov_len ? rest : S3_BLOCK_SIZE - last->iov_len;
}

void s3_part_add(struct s3_part *part, size_t size)
{
    part->blocks[part->count - 1].iov_len += size;
    part->size += size;
}

void s3_part_close(struct s3_part *part)
{
    for (unsigned i = 0; i < part->count; i++)
        s3_memory_give(part->memory, part->lease, part->blocks[i].iov_base);
    free(part->query);
    free(part);
}

void s3_parts_add(struct s3_part **first, struct s3_part *part)
{
    part->next = *first;
    *first = part;
}

void s3_parts_remove(struct s3_part **first, const struct s3_part *part)
{
    while (*first != part)
        first = &(*first)->next;
    *first = part->next;
}

void s3_parts_drop(struct s3_part **first, struct s3_loop *loop)
{
    while (*first) {
        struct s3_part *part = *first;

        *first = part->next;
        s3_loop_cancel(loop, &part->request);
        s3_part_close(part);
    }
}
