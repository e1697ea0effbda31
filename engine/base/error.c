/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int lb_error_set(struct lb_error *error, int code, const char *format, ...)
{
    size_t before = offsetof(struct lb_error, text);

    /* One whose size nobody has set is left alone: telling must not fail. */
    if (error && error->size > before) {
        size_t room = error->size - before;
        va_list arguments;

        error->code = code;
        va_start(arguments, format);
        vsnprintf(error->text, room < sizeof(error->text) ? room : sizeof(error->text), format,
                  arguments);
        va_end(arguments);
    }
    return code;
}
