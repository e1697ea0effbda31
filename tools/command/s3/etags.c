/* SPDX-License-Identifier: MIT */
#include "etags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct s3_etags *etags, size_t count)
{
    size_t room = etags->room ? etags->room : 16;
    char **texts;

    while (room < count)
        room *= 2;
    if (room > etags->room) {
        texts = realloc(etags->texts, room * sizeof(*texts));
        if (!texts)
            return -ENOMEM;
        memset(texts + etags->room, 0, (room - etags->room) * sizeof(*texts));
        etags->texts = texts;
        etags->room = room;
    }
    if (count > etags->count)
        etags->count = count;
    return 0;
}

int s3_etags_keep(struct s3_etags *etags, unsigned number, const char *text)
{
    if (!*text)
        return -EINVAL;
    /* It stands in XML as it is. */
    for (const char *byte = text; *byte; byte++)
        if (*byte <= ' ' || *byte > '~' || strchr("<>&", *byte))
            return -EINVAL;
    if (make_room(etags, number) < 0)
        return -ENOMEM;
    free(etags->texts[number - 1]);
    etags->texts[number - 1] = strdup(text);
    return etags->texts[number - 1] ? 0 : -ENOMEM;
}

char *s3_etags_list(const struct s3_etags *etags)
{
    char *list = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&list, &size);

    if (!out)
        return NULL;
    fputs("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", out);
    for (size_t i = 0; i < etags->count; i++)
        fprintf(out, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                etags->texts[i] ? etags->texts[i] : "");
    fputs("</CompleteMultipartUpload>", out);
    if (fclose(out) == 0)
        return list;
    free(list);
    return NULL;
}

void s3_etags_done(struct s3_etags *etags)
{
    for (size_t i = 0; i < etags->count; i++)
        free(etags->texts[i]);
    free(etags->texts);
    *etags = (struct s3_etags){0};
}
