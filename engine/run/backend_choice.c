/* SPDX-License-Identifier: MIT */
#include "backend_choice.h"

#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int choose_best(const struct lb_backend **backend,
                       void (*refused)(void *context, const char *text), void *context,
                       struct lb_error *error)
{
    struct lb_error why;

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
    struct lb_error why = {0};
    char names[200];

    if (!name || strcmp(name, "auto") == 0)
        return choose_best(backend, refused, context, error);
    for (size_t i = 0; lb_backends[i]; i++) {
        int rc;

        if (strcmp(lb_backends[i]->name, name) != 0)
            continue;
        rc = lb_backends[i]->probe(NULL, &why);
        /* An old kernel's EINVAL is about its features, not about our configuration. */
        if (rc < 0)
            return lb_error_set(error, rc == -EINVAL ? -ENOSYS : rc,
                                "backend %s can't run here: %s", name, why.text);
        *backend = lb_backends[i];
        return 0;
    }
    return lb_error_set(error, -EINVAL, "there is no backend \"%s\"; use %s", name,
                        list(names, sizeof(names)));
}

bool lb_backend_describe(size_t index, struct lb_description *description)
{
    for (size_t i = 0; lb_backends[i]; i++) {
        if (i != index)
            continue;
        *description =
            (struct lb_description){.name = lb_backends[i]->name, .help = lb_backends[i]->help};
        return true;
    }
    return false;
}

void lb_probe(struct lb_probe *probe)
{
    *probe = (struct lb_probe){0};
    for (size_t i = 0; lb_backends[i]; i++)
        probe->features[probe->count++] = (struct lb_feature){
            .name = lb_backends[i]->name,
            .ring = lb_backends[i]->ring,
        };
    probe->backends = probe->count;
    for (size_t i = 0; lb_backends[i]; i++) {
        struct lb_error why = {0};

        probe->features[i].usable = lb_backends[i]->probe(probe, &why) == 0;
        snprintf(probe->features[i].why, sizeof(probe->features[i].why), "%.*s",
                 (int)sizeof(probe->features[i].why) - 1, why.text);
    }
}
