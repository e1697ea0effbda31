/* SPDX-License-Identifier: MIT */
#ifndef PIN_LIST_H
#define PIN_LIST_H

#include "options.h"

/* Pins that options give: sha256//BASE64, or @FILE with one at the begin of each line, what is
 * behind it and lines that begin with # being comments. Zeroed: none. */
struct pin_list {
    char **texts; /* count of them, then NULL */
    size_t count;
};

/* Reads and checks what the option of that name gave. Returns an exit status after telling what is
 * wrong. pin_list_done is to be called in any case. */
int pin_list_read(struct pin_list *list, const char *option, const struct option_list *given);

void pin_list_done(struct pin_list *list);

#endif
