/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include "sigv4.h"

#include <errno.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct s3_answer *answer;
    void (*tell)(void *context, const struct s3_listed *listed);
    void *context;
    unsigned depth;
    bool in_upload; /* of a list */
    struct s3_listed listed;
    char truncated[6]; /* "true" or "false" */
    char *target;      /* where the text of the element goes, or NULL */
    size_t room, used;
};

/* A name without the namespace that it was given. */
static const char *local(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon ? colon + 1 : name;
}

struct place {
    char *target;
    size_t room;
};

#define INTO(member) ((struct place){member, sizeof(member)})

/* Where the text of an element goes. */
static struct place find_place(struct reader *reader, const char *name)
{
    struct s3_answer *answer = reader->answer;

    if (reader->in_upload && strcmp(name, "Key") == 0)
        return INTO(reader->listed.key);
    if (reader->in_upload && strcmp(name, "UploadId") == 0)
        return INTO(reader->listed.upload_id);
    if (reader->depth != 1)
        return (struct place){0};
    if (strcmp(name, "Code") == 0)
        return INTO(answer->code);
    if (strcmp(name, "Message") == 0)
        return INTO(answer->text);
    if (strcmp(name, "UploadId") == 0)
        return INTO(answer->upload_id);
    if (strcmp(name, "NextKeyMarker") == 0)
        return INTO(answer->next_key);
    if (strcmp(name, "NextUploadIdMarker") == 0)
        return INTO(answer->next_upload_id);
    if (strcmp(name, "IsTruncated") == 0)
        return INTO(reader->truncated);
    return (struct place){0};
}

static void XMLCALL on_begin(void *data, const char *qualified, const char **attributes)
{
    struct reader *reader = data;
    const char *name = local(qualified);
    struct place place = find_place(reader, name);

    (void)attributes;
    if (reader->depth == 0 && strlen(name) < sizeof(reader->answer->root))
        strcpy(reader->answer->root, name);
    if (reader->depth == 1 && strcmp(name, "Upload") == 0) {
        reader->in_upload = true;
        reader->listed = (struct s3_listed){0};
    }
    reader->target = place.target;
    reader->room = place.room;
    reader->used = 0;
    if (reader->target)
        reader->target[0] = '\0';
    reader->depth++;
}

static void XMLCALL on_end(void *data, const char *qualified)
{
    struct reader *reader = data;
    const char *name = local(qualified);

    if (reader->depth == 2 && strcmp(name, "Upload") == 0) {
        reader->in_upload = false;
        if (reader->tell && *reader->listed.key && *reader->listed.upload_id)
            reader->tell(reader->context, &reader->listed);
    }
    reader->target = NULL;
    reader->depth--;
}

static void XMLCALL on_text(void *data, const char *text, int size)
{
    struct reader *reader = data;

    if (!reader->target)
        return;
    if (reader->used + (size_t)size >= reader->room) {
        reader->target[0] = '\0';
        reader->target = NULL;
        return;
    }
    memcpy(reader->target + reader->used, text, (size_t)size);
    reader->used += (size_t)size;
    reader->target[reader->used] = '\0';
}

int s3_answer_read(struct s3_answer *answer, const char *text, size_t size,
                   void (*tell)(void *context, const struct s3_listed *listed), void *context)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    XML_Parser parser = XML_ParserCreate(NULL);

    *answer = (struct s3_answer){0};
    if (!reader || !parser) {
        free(reader);
        if (parser)
            XML_ParserFree(parser);
        return -ENOMEM;
    }
    *reader = (struct reader){.answer = answer, .tell = tell, .context = context};
    XML_SetUserData(parser, reader);
    XML_SetElementHandler(parser, on_begin, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    answer->whole = XML_Parse(parser, text, (int)size, XML_TRUE) == XML_STATUS_OK;
    answer->truncated = strcmp(reader->truncated, "true") == 0;
    XML_ParserFree(parser);
    free(reader);
    return 0;
}

char *s3_answer_upload_id(const char *text, size_t size)
{
    struct s3_answer *answer = malloc(sizeof(*answer));
    char encoded[3 * S3_UPLOAD_ID_SIZE + 1], *copy = NULL;

    if (answer && s3_answer_read(answer, text, size, NULL, NULL) == 0 && answer->whole &&
        sigv4_encode(encoded, sizeof(encoded), answer->upload_id, false) > 0)
        copy = strdup(encoded);
    free(answer);
    return copy;
}

bool s3_answer_is(const char *text, size_t size, const char *root)
{
    struct s3_answer *answer = malloc(sizeof(*answer));
    bool is = answer && s3_answer_read(answer, text, size, NULL, NULL) == 0 && answer->whole &&
              strcmp(answer->root, root) == 0;

    free(answer);
    return is;
}
