/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What helps against an error wherever it comes from. */
static void add_remedy(int code, char *text, size_t room)
{
    static const char limit[] = "ulimit -n";
    size_t used = strlen(text);

    if (code == -EMFILE && !strstr(text, limit))
        snprintf(text + used, room - used, "; raise the limit of open descriptors (%s)", limit);
}

int lb_error_set(struct lb_error *error, int code, const char *format, ...)
{
    size_t before = offsetof(struct lb_error, text);

    /* One whose size nobody has set is left alone: telling must not fail. */
    if (error && error->size > before) {
        size_t room = error->size - before;
        va_list arguments;

        if (room > sizeof(error->text))
            room = sizeof(error->text);
        error->code = code;
        va_start(arguments, format);
        vsnprintf(error->text, room, format, arguments);
        va_end(arguments);
        add_remedy(code, error->text, room);
    }
    return code;
}
