/* SPDX-License-Identifier: MIT */
#include "targets.h"

#include "patience.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct lb_error *error, int code, const char *text)
{
    error->code = code;
    snprintf(error->text, sizeof(error->text), "%s", text);
    return code;
}

/* How many; a Unix socket's path may have commas of its own. */
static size_t count_parts(const char *text)
{
    size_t count = 1;

    for (; strncmp(text, "unix:", strlen("unix:")) != 0 && (text = strchr(text, ',')); text++)
        count++;
    return count;
}

int targets_read(struct targets *targets, const char *text, struct lb_error *error)
{
    size_t count = count_parts(text);
    char *next;

    *targets = (struct targets){.text = strdup(text),
                                .addresses = calloc(count, sizeof(targets->addresses[0]))};
    if (!targets->text || !targets->addresses)
        return refuse(error, -ENOMEM, "out of memory");
    next = targets->text;
    for (; targets->count < count; targets->count++) {
        char *comma = count > 1 ? strchr(next, ',') : NULL;

        if (comma)
            *comma = '\0';
        targets->addresses[targets->count] = next;
        int rc = lb_address_check(next, error);
        if (rc < 0)
            return rc;
        if (count > 1 && (strncmp(next, "unix:", strlen("unix:")) == 0 ||
                          strncmp(next, "fd:", strlen("fd:")) == 0))
            return refuse(error, -EINVAL, "of several addresses each is HOST:PORT");
        next = comma ? comma + 1 : next;
    }
    return 0;
}

void targets_done(struct targets *targets)
{
    free(targets->text);
    free(targets->addresses);
    *targets = (struct targets){0};
}

/* Those that are left share the time that is. */
static int share_ms(uint64_t until_ns, int timeout_ms, size_t left)
{
    uint64_t now = patience_clock();

    if (timeout_ms < 0)
        return timeout_ms;
    return now < until_ns ? (int)((until_ns - now) / 1000000 / left) : 0;
}

int targets_connect(const struct targets *targets, unsigned flags, int timeout_ms,
                    const char **connected, struct lb_error *error)
{
    uint64_t until_ns = patience_clock() + (timeout_ms < 0 ? 0 : (uint64_t)timeout_ms * 1000000);
    size_t used = 0;
    int fd = -EINVAL;

    for (size_t i = 0; i < targets->count; i++) {
        struct lb_error why = {LB_ERROR_INIT};

        *connected = targets->addresses[i];
        fd = lb_connect_with(*connected, flags, share_ms(until_ns, timeout_ms, targets->count - i),
                             &why);
        if (fd >= 0)
            return fd;
        error->code = fd;
        if (used < sizeof(error->text))
            used += (size_t)snprintf(error->text + used, sizeof(error->text) - used, "%s%s",
                                     i ? "; " : "", why.text);
    }
    return fd;
}
