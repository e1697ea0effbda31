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

int lb_choice_make(const struct lb_backend **backend, const char *name,
                   void (*refused)(void *context, const char *text), void *context,
                   struct lb_error *error)
{
    struct lb_error why = {0};

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
    return lb_error_set(error, -EINVAL,
                        "no backend called '%s'; use auto, uring, epoll or blocking", name);
}

void lb_probe(struct lb_probe *probe)
{
    *probe = (struct lb_probe){0};
    for (size_t i = 0; lb_backends[i]; i++)
        probe->features[probe->count++].name = lb_backends[i]->name;
    probe->backends = probe->count;
    for (size_t i = 0; lb_backends[i]; i++) {
        struct lb_error why = {0};

        probe->features[i].usable = lb_backends[i]->probe(probe, &why) == 0;
        snprintf(probe->features[i].why, sizeof(probe->features[i].why), "%.*s",
                 (int)sizeof(probe->features[i].why) - 1, why.text);
    }
}
