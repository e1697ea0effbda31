/* SPDX-License-Identifier: MIT */
#include "admission.h"

#include "console.h"
#include "value.h"

#include <lastbyte/lastbyte.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

int admission_check_networks(const char *option, const struct option_list *networks,
                             const char *word)
{
    struct lb_error error = {LB_ERROR_INIT};

    for (size_t i = 0; i < networks->count; i++) {
        if (word && strcmp(networks->words[i], word) == 0)
            continue;
        if (lb_network_check(networks->words[i], &error)) {
            /* It begins with the network. */
            console_tell("--%s=%s%s%s", option, error.text, word ? ", or " : "", word ? word : "");
            return -EINVAL;
        }
    }
    return 0;
}

static int read_uid(const char *text, uid_t *uid)
{
    const struct passwd *user;
    uint64_t number;

    if (value_count(text, &number) == 0 && number < UINT32_MAX) {
        *uid = (uid_t)number;
        return 0;
    }
    user = getpwnam(text);
    if (!user) {
        console_tell("--allow-uid=%s: no such user; use a name or a number that id -u prints",
                     text);
        return -EINVAL;
    }
    *uid = user->pw_uid;
    return 0;
}

int admission_read_uids(const struct option_list *users, uid_t **uids)
{
    *uids = calloc(users->count + 1, sizeof(**uids));
    if (!*uids) {
        console_tell("out of memory");
        return -EINVAL;
    }
    for (size_t i = 0; i < users->count; i++)
        if (read_uid(users->words[i], &(*uids)[i]))
            return -EINVAL;
    return 0;
}
