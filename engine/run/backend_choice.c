/* SPDX-License-Identifier: MIT */
#include "backend_choice.h"

#include "sized.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int choose_best(const struct lb_backend **backend,
                       void (*refused)(void *context, const char *text), void *context,
                       struct lb_error *error)
{
    struct lb_error why = {LB_ERROR_INIT};

    for (size_t i = 0; lb_backends[i]; i++) {
        char text[sizeof(why.text) + 64];
        int rc;

        why.text[0] = '\0';
        rc = lb_backends[i]->probe(NULL, &why);
        if (rc == 0) {
            *backend = lb_backends[i];
            return 0;
        }
        snprintf(text, sizeof(text), "backend %s refused: %s", lb_backends[i]->name, why.text);
        refused(context, text);
    }
    return lb_error_set(error, -ENOSYS, "no backend works here: %s", why.text);
}

/* "auto, uring, ... or blocking" */
static const char *list(char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "auto");

    for (size_t i = 0; lb_backends[i] && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s",
                                   lb_backends[i + 1] ? ", " : " or ", lb_backends[i]->name);
    return text;
}

int lb_choice_make(const struct lb_backend **backend, const char *name,
                   void (*refused)(void *context, const char *text), void *context,
                   struct lb_error *error)
{
    struct lb_error why = {LB_ERROR_INIT};
    const char *whence = "";
    char names[200];

    if (!name || strcmp(name, "auto") == 0) {
        name = secure_getenv("LASTBYTE_BACKEND");
        whence = "LASTBYTE_BACKEND: ";
    }
    if (!name || !name[0] || strcmp(name, "auto") == 0)
        return choose_best(backend, refused, context, error);
    for (size_t i = 0; lb_backends[i]; i++) {
        int rc;

        if (strcmp(lb_backends[i]->name, name) != 0)
            continue;
        rc = lb_backends[i]->probe(NULL, &why);
        /* An old kernel's EINVAL is about its features, not about our configuration. */
        if (rc < 0)
            return lb_error_set(error, rc == -EINVAL ? -ENOSYS : rc,
                                "%sbackend %s can't run here: %s", whence, name, why.text);
        *backend = lb_backends[i];
        return 0;
    }
    return lb_error_set(error, -EINVAL, "%sthere is no backend \"%s\"; use %s", whence, name,
                        list(names, sizeof(names)));
}

bool lb_backend_describe(size_t index, struct lb_description *description)
{
    for (size_t i = 0; lb_backends[i]; i++)
        if (i == index)
            return lb_description_give(description, &(struct lb_description){
                                                        LB_DESCRIPTION_INIT,
                                                        .name = lb_backends[i]->name,
                                                        .help = lb_backends[i]->help,
                                                    });
    return false;
}

/* ---- the probe ------------------------------------------------------------------------------- */

static void look(struct lb_probe *probe)
{
    for (size_t i = 0; lb_backends[i]; i++)
        probe->features[probe->count++] = (struct lb_feature){
            LB_FEATURE_INIT,
            .name = lb_backends[i]->name,
            .ring = lb_backends[i]->ring,
        };
    probe->backends = probe->count;
    for (size_t i = 0; lb_backends[i]; i++) {
        struct lb_error why = {LB_ERROR_INIT};

        probe->features[i].usable = lb_backends[i]->probe(probe, &why) == 0;
        snprintf(probe->features[i].why, sizeof(probe->features[i].why), "%.*s",
                 (int)sizeof(probe->features[i].why) - 1, why.text);
    }
}

/* Each feature as long as the program's first. */
int lb_probe(struct lb_probe *probe)
{
    static const struct lb_layout layout = {
        .name = "struct lb_feature",
        .first = LB_FIRST_LAYOUT(struct lb_feature, why),
        .known = sizeof(struct lb_feature),
    };
    const size_t head = offsetof(struct lb_probe, features);
    struct lb_probe found = {LB_PROBE_INIT};
    size_t each;

    if (!probe || probe->size < head + LB_FEATURES_MAX * layout.first)
        return -EINVAL;
    each = probe->features[0].size;
    if (each < layout.first || each > (probe->size - head) / LB_FEATURES_MAX)
        return -EINVAL;
    look(&found);
    probe->backends = found.backends;
    probe->count = found.count;
    for (size_t i = 0; i < found.count; i++) {
        void *feature = (char *)probe + head + i * each;

        *(size_t *)feature = each;
        lb_sized_give(&layout, feature, &found.features[i]);
    }
    return 0;
}
