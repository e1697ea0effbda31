/* SPDX-License-Identifier: MIT */
#include "pin_list.h"

#include "command.h"
#include "console.h"
#include "pin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct pin_list *list, const char *text)
{
    char **texts = realloc(list->texts, (list->count + 2) * sizeof(*texts));
    char *copy = texts ? strdup(text) : NULL;

    if (texts)
        list->texts = texts;
    if (!copy) {
        console_tell("out of memory");
        return STATUS_NO_START;
    }
    texts[list->count++] = copy;
    texts[list->count] = NULL;
    return STATUS_OK;
}

static int read_line(struct pin_list *list, const char *option, const char *path, char *line)
{
    struct lb_pin pin;

    line[strcspn(line, " \t\r\n")] = '\0';
    if (!*line || *line == '#')
        return STATUS_OK;
    if (lb_pin_read(&pin, line) == 0)
        return add(list, line);
    console_tell("--%s=@%s: a line that begins with no pin: %.60s; use sha256//BASE64", option,
                 path, line);
    return STATUS_USAGE;
}

static int read_file(struct pin_list *list, const char *option, const char *path)
{
    FILE *file = fopen(path, "re");
    int status = STATUS_OK;
    size_t room = 0;
    char *line = NULL;

    if (!file) {
        console_tell("--%s=@%s: %s", option, path, strerror(errno));
        return STATUS_NO_START;
    }
    while (status == STATUS_OK && getline(&line, &room, file) >= 0)
        status = read_line(list, option, path, line);
    free(line);
    fclose(file);
    return status;
}

static int read_one(struct pin_list *list, const char *option, const char *text)
{
    struct lb_pin pin;

    if (text[0] == '@')
        return read_file(list, option, text + 1);
    if (lb_pin_read(&pin, text) == 0)
        return add(list, text);
    console_tell("--%s=%s: not a pin; use sha256//BASE64, as recv --tls and lastbyte pin print it",
                 option, text);
    return STATUS_USAGE;
}

int pin_list_read(struct pin_list *list, const char *option, const struct option_list *given)
{
    int status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < given->count; i++)
        status = read_one(list, option, given->words[i]);
    /* Nobody in it must not mean everybody. */
    if (status == STATUS_OK && given->count > 0 && list->count == 0) {
        console_tell("--%s=%s: has no pin", option, given->words[0]);
        status = STATUS_USAGE;
    }
    return status;
}

void pin_list_done(struct pin_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->texts[i]);
    free(list->texts);
    *list = (struct pin_list){0};
}
