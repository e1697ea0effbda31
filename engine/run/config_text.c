/* SPDX-License-Identifier: MIT */
/* A configuration by names and texts, for languages that don't know C's structs: what each member
 * is called here is its name in lastbyte/engine.h. */
#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How a member's text is read. */
enum kind {
    KIND_TEXT,
    KIND_LIST,   /* each text is one more of them */
    KIND_BYTES,  /* its size is the member behind it */
    KIND_NUMBER, /* unsigned, "none" where the member knows that */
    KIND_SIZE,
    KIND_COUNT, /* uint64_t */
    KIND_FLAG,
};

struct member {
    const char *name;
    enum kind kind;
    size_t offset;
    bool none; /* UINT32_MAX is "none" */
};

#define MEMBER(kind_, member, ...)                                                                 \
    {                                                                                              \
#member, kind_, offsetof(struct lb_config, member), __VA_ARGS__                            \
    }

static const struct member members[] = {
    MEMBER(KIND_LIST, listen, false),
    MEMBER(KIND_TEXT, backend, false),
    MEMBER(KIND_NUMBER, workers, true),
    MEMBER(KIND_TEXT, cpus, false),
    MEMBER(KIND_SIZE, slot_size, false),
    MEMBER(KIND_NUMBER, slots, false),
    MEMBER(KIND_NUMBER, max_streams, false),
    MEMBER(KIND_NUMBER, backlog, false),
    MEMBER(KIND_SIZE, rcvbuf, false),
    MEMBER(KIND_COUNT, count, false),
    MEMBER(KIND_BYTES, greeting, false),
    MEMBER(KIND_TEXT, receipt, false),
    MEMBER(KIND_NUMBER, drain_ms, true),
    MEMBER(KIND_NUMBER, gather_max_us, true),
    MEMBER(KIND_FLAG, unrestricted, false),
    MEMBER(KIND_NUMBER, keepalive_ms, true),
    MEMBER(KIND_COUNT, max_bytes, false),
    MEMBER(KIND_NUMBER, idle_timeout_ms, false),
    MEMBER(KIND_NUMBER, max_time_ms, false),
    MEMBER(KIND_COUNT, min_rate, false),
    MEMBER(KIND_NUMBER, min_rate_window_ms, false),
    MEMBER(KIND_FLAG, no_splice, false),
    MEMBER(KIND_FLAG, seal, false),
    MEMBER(KIND_BYTES, seal_key, false),
    MEMBER(KIND_FLAG, tls, false),
    MEMBER(KIND_TEXT, tls_cert, false),
    MEMBER(KIND_TEXT, tls_key, false),
    MEMBER(KIND_TEXT, tls_min, false),
    MEMBER(KIND_TEXT, tls_records, false),
    MEMBER(KIND_TEXT, tls_client_ca, false),
    MEMBER(KIND_LIST, tls_pins, false),
    MEMBER(KIND_TEXT, tls_psk, false),
    MEMBER(KIND_FLAG, tls_allow_fin, false),
    MEMBER(KIND_NUMBER, handshake_timeout_ms, false),
    MEMBER(KIND_NUMBER, max_handshakes, false),
    MEMBER(KIND_COUNT, rate_limit, false),
    MEMBER(KIND_COUNT, total_rate_limit, false),
    MEMBER(KIND_LIST, allow, false),
    MEMBER(KIND_LIST, deny, false),
    MEMBER(KIND_NUMBER, unix_mode, false),
    MEMBER(KIND_NUMBER, max_streams_per_peer, false),
    MEMBER(KIND_LIST, proxy_protocol, false),
    MEMBER(KIND_FLAG, ignore_empty, false),
    MEMBER(KIND_COUNT, tune, false),
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

/* A configuration of lb_config_new: what its members point to is its own. */
struct owner {
    struct lb_config config; /* first */
    char **lists[MEMBERS];
    char *texts[MEMBERS]; /* of those that have one */
};

struct lb_config *lb_config_new(void)
{
    struct owner *owner = calloc(1, sizeof(*owner));

    if (owner)
        lb_config_init(&owner->config);
    return (struct lb_config *)owner;
}

static size_t count(char *const *list)
{
    size_t total = 0;

    while (list && list[total])
        total++;
    return total;
}

void lb_config_free(struct lb_config *config)
{
    struct owner *owner = (struct owner *)config;

    for (size_t i = 0; owner && i < MEMBERS; i++) {
        for (size_t j = count(owner->lists[i]); j-- > 0;)
            free(owner->lists[i][j]);
        free(owner->lists[i]);
        free(owner->texts[i]);
    }
    free(owner);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int refuse(struct lb_error *error, const struct member *member, const char *text,
                  const char *shape)
{
    return lb_error_set(error, -EINVAL, "%s is \"%s\": it has to be %s", member->name, text, shape);
}

/* Digits and nothing else: in octal with a 0 before. */
static bool read_number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    unsigned long long number;

    if (text[strspn(text, "0123456789")] || !text[0])
        return false;
    errno = 0;
    number = strtoull(text, &end, 0);
    *value = number;
    return errno == 0 && !*end && number <= most;
}

static int set_number(const struct member *member, void *place, const char *text,
                      struct lb_error *error)
{
    bool small = member->kind == KIND_NUMBER;
    uint64_t value = 0, most = small ? UINT32_MAX - 1 : UINT64_MAX;

    if (member->none && strcmp(text, "none") == 0)
        value = UINT32_MAX;
    else if (!read_number(text, most, &value))
        return refuse(error, member, text,
                      member->none ? "a number, or none" : "a number that is not too large");
    if (small)
        *(unsigned *)place = (unsigned)value;
    else if (member->kind == KIND_SIZE)
        *(size_t *)place = (size_t)value;
    else
        *(uint64_t *)place = value;
    return 0;
}

static int set_flag(const struct member *member, bool *place, const char *text,
                    struct lb_error *error)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return refuse(error, member, text, "true or false");
    *place = text[0] == 't';
    return 0;
}

static int set_text(char **own, const struct member *member, void *place, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    free(*own);
    *own = copy;
    *(const char **)place = copy;
    if (member->kind == KIND_BYTES)
        *(size_t *)((char *)place + sizeof(void *)) = strlen(copy);
    return 0;
}

static int add_text(char ***own, void *place, const char *text)
{
    size_t before = count(*own);
    char **list = realloc(*own, (before + 2) * sizeof(*list)), *copy = strdup(text);

    if (list)
        *own = list;
    if (!list || !copy) {
        free(copy);
        return -ENOMEM;
    }
    list[before] = copy;
    list[before + 1] = NULL;
    *(char *const **)place = list;
    return 0;
}

static const struct member *find(const char *name)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

int lb_config_set(struct lb_config *config, const char *name, const char *text,
                  struct lb_error *error)
{
    struct owner *owner = (struct owner *)config;
    const struct member *member = name ? find(name) : NULL;
    int rc = -EINVAL;
    void *place;

    if (!config || !name || !text)
        return lb_error_set(error, rc, "no configuration, no name, or no text");
    if (!member)
        return lb_error_set(error, rc, "there is no \"%s\" that a text can set", name);
    place = (char *)config + member->offset;
    switch (member->kind) {
    case KIND_TEXT:
    case KIND_BYTES:
        rc = set_text(&owner->texts[member - members], member, place, text);
        break;
    case KIND_LIST:
        rc = add_text(&owner->lists[member - members], place, text);
        break;
    case KIND_NUMBER:
    case KIND_SIZE:
    case KIND_COUNT:
        return set_number(member, place, text, error);
    case KIND_FLAG:
        return set_flag(member, place, text, error);
    }
    return rc < 0 ? lb_error_set(error, rc, "out of memory") : 0;
}

int lb_config_set_sink(struct lb_config *config, const struct lb_sink *sink, void *context)
{
    if (!config)
        return -EINVAL;
    config->sink = sink;
    config->sink_context = context;
    return 0;
}
