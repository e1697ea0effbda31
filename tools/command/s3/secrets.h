/* SPDX-License-Identifier: MIT */
/* Memory for what nobody else may see: it is in no core, and wiped before it is given back. */
#ifndef S3_SECRETS_H
#define S3_SECRETS_H

#include <stddef.h>

/* Zeroed memory of so many bytes, or NULL. */
void *s3_secrets_open(size_t size);
void s3_secrets_close(void *secrets, size_t size);

#endif
