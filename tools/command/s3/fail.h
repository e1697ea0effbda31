/* SPDX-License-Identifier: MIT */
#ifndef S3_FAIL_H
#define S3_FAIL_H

#include <lastbyte/lastbyte.h>

#include <stdarg.h>
#include <stdio.h>

/* Fills error, and returns code. */
__attribute__((format(printf, 3, 4))) static inline int s3_fail(struct lb_error *error, int code,
                                                                const char *format, ...)
{
    va_list values;

    error->code = code;
    va_start(values, format);
    vsnprintf(error->text, sizeof(error->text), format, values);
    va_end(values);
    return code;
}

#endif
