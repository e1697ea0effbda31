/* SPDX-License-Identifier: MIT */
#include "secrets.h"

#include <string.h>
#include <sys/mman.h>

void *s3_secrets_open(size_t size)
{
    void *secrets = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (secrets == MAP_FAILED)
        return NULL;
    if (madvise(secrets, size, MADV_DONTDUMP) < 0) {
        munmap(secrets, size);
        return NULL;
    }
    return secrets;
}

void s3_secrets_close(void *secrets, size_t size)
{
    if (!secrets)
        return;
    explicit_bzero(secrets, size);
    munmap(secrets, size);
}
