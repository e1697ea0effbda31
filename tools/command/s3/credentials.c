/* SPDX-License-Identifier: MIT */
#include "credentials.h"

#include "fail.h"
#include "secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 10 };

/* One of the values, as the environment and the shared file call it. */
struct setting {
    const char *variable, *name;
    char *value;
    size_t room;
};

enum { ACCESS_KEY, SECRET, TOKEN, SETTINGS };

/* ---- the environment ------------------------------------------------------------------------- */

static int take(struct setting *setting, const char *text, size_t size)
{
    if (size >= setting->room)
        return -EMSGSIZE;
    /* It stands in a header. */
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return -EINVAL;
    memcpy(setting->value, text, size);
    setting->value[size] = '\0';
    return 0;
}

static int refuse(const struct setting *setting, int rc, struct lb_error *error)
{
    return s3_fail(error, rc, "%s: %s; give the value as it was issued", setting->variable,
                   rc == -EMSGSIZE ? "is too long" : "has characters that no key has");
}

static int take_environment(struct setting settings[SETTINGS], struct lb_error *error)
{
    for (struct setting *setting = settings; setting < settings + SETTINGS; setting++) {
        const char *text = getenv(setting->variable);
        int rc = text ? take(setting, text, strlen(text)) : 0;

        if (rc < 0)
            return refuse(setting, rc, error);
    }
    return 0;
}

/* A core has the environment, too; and so have the commands that others may start from here. */
static void wipe_environment(const struct setting settings[SETTINGS])
{
    for (const struct setting *setting = settings; setting < settings + SETTINGS; setting++) {
        char *text = getenv(setting->variable);

        if (text)
            explicit_bzero(text, strlen(text));
        unsetenv(setting->variable);
    }
}

/* ---- the shared file ------------------------------------------------------------------------- */

static bool find_file(char path[PATH_MAX])
{
    const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");

    if (named && *named)
        return snprintf(path, PATH_MAX, "%s", named) < PATH_MAX;
    return home && *home && snprintf(path, PATH_MAX, "%s/.aws/credentials", home) < PATH_MAX;
}

/* Returns how much of text the file fills, or -errno. */
static ssize_t read_file(const char *path, char text[FILE_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t used = 0;
    ssize_t size = fd < 0 ? -1 : 1;

    while (size > 0 && used < FILE_MAX) {
        size = read(fd, text + used, FILE_MAX - used);
        if (size > 0)
            used += (size_t)size;
        else if (size < 0 && errno == EINTR)
            size = 1;
    }
    size = size < 0 ? -errno : (ssize_t)used;
    if (fd >= 0)
        close(fd);
    return size;
}

static void trim(const char **begin, const char **end)
{
    while (*begin < *end && strchr(" \t\r", **begin))
        ++*begin;
    while (*begin < *end && strchr(" \t\r", (*end)[-1]))
        --*end;
}

static bool same(const char *begin, const char *end, const char *word)
{
    return (size_t)(end - begin) == strlen(word) && memcmp(begin, word, strlen(word)) == 0;
}

/* One line of the profile's section. */
static int take_line(struct setting settings[SETTINGS], const char *line, const char *end)
{
    const char *equals = memchr(line, '=', (size_t)(end - line));
    const char *name_end = equals, *value = equals ? equals + 1 : NULL;

    if (!equals)
        return 0;
    trim(&line, &name_end);
    trim(&value, &end);
    for (struct setting *setting = settings; setting < settings + SETTINGS; setting++)
        if (same(line, name_end, setting->name))
            return take(setting, value, (size_t)(end - value));
    return 0;
}

/* "[name]" */
static bool is_section(const char *line, const char *end, const char *profile)
{
    line++;
    end--;
    trim(&line, &end);
    return same(line, end, profile);
}

static int take_profile(struct setting settings[SETTINGS], const char *text, size_t size,
                        const char *profile)
{
    const char *last = text + size;
    bool ours = false, found = false;
    int rc = 0;

    for (const char *line = text; rc == 0 && line < last;) {
        const char *newline = memchr(line, '\n', (size_t)(last - line));
        const char *end = newline ? newline : last, *begin = line;

        line = end + 1;
        trim(&begin, &end);
        if (begin == end || *begin == '#' || *begin == ';')
            continue;
        if (*begin == '[' && end[-1] == ']') {
            ours = is_section(begin, end, profile);
            found = found || ours;
        } else if (ours) {
            rc = take_line(settings, begin, end);
        }
    }
    return rc == 0 && !found ? -ENOENT : rc;
}

static int read_profile(struct setting settings[SETTINGS], const char *profile,
                        struct lb_error *error)
{
    char path[PATH_MAX];
    char *text = s3_secrets_open(FILE_MAX);
    ssize_t size;
    int rc;

    if (!text)
        return s3_fail(error, -ENOMEM, "no memory for credentials");
    size = find_file(path) ? read_file(path, text) : -ENOENT;
    rc = size < 0 ? (int)size : take_profile(settings, text, (size_t)size, profile);
    s3_secrets_close(text, FILE_MAX);
    if (size < 0 && size != -ENOENT)
        return s3_fail(error, rc, "%s: %s", path, strerror(-rc));
    if (rc == -EINVAL || rc == -EMSGSIZE)
        return s3_fail(error, rc,
                       "%s: profile %s: a value is too long, or has characters that no "
                       "key has; give it as it was issued",
                       path, profile);
    if (rc < 0)
        return s3_fail(error, -EACCES,
                       "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                       "them to the section [%s] of %s",
                       profile, size < 0 ? "~/.aws/credentials" : path);
    return 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int take_region(struct s3_credentials *credentials, struct lb_error *error)
{
    const char *region = getenv("AWS_REGION");
    struct setting setting = {NULL, "region", credentials->region, sizeof(credentials->region)};
    int rc;

    if (!region || !*region)
        region = getenv("AWS_DEFAULT_REGION");
    if (!region || !*region)
        region = "us-east-1";
    rc = take(&setting, region, strlen(region));
    return rc < 0 ? s3_fail(error, rc, "AWS_REGION: no region is called so") : 0;
}

static int find(struct s3_credentials *credentials, struct lb_error *error)
{
    struct setting settings[SETTINGS] = {
        [ACCESS_KEY] = {"AWS_ACCESS_KEY_ID", "aws_access_key_id", credentials->access_key,
                        sizeof(credentials->access_key)},
        [SECRET] = {"AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", credentials->secret,
                    sizeof(credentials->secret)},
        [TOKEN] = {"AWS_SESSION_TOKEN", "aws_session_token", credentials->token,
                   sizeof(credentials->token)},
    };
    const char *profile = getenv("AWS_PROFILE");
    int rc = take_environment(settings, error);

    wipe_environment(settings);
    if (rc < 0)
        return rc;
    if (!*credentials->access_key && !*credentials->secret)
        rc = read_profile(settings, profile && *profile ? profile : "default", error);
    if (rc == 0 && (!*credentials->access_key || !*credentials->secret))
        rc = s3_fail(error, -EACCES,
                     "only one of access key and secret key is there; both are needed: "
                     "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return rc == 0 ? take_region(credentials, error) : rc;
}

int s3_credentials_open(struct s3_credentials **credentials, struct lb_error *error)
{
    struct s3_credentials *made = s3_secrets_open(sizeof(*made));
    int rc;

    if (!made)
        return s3_fail(error, -ENOMEM, "no memory for credentials");
    rc = find(made, error);
    if (rc < 0) {
        s3_credentials_close(made);
        return rc;
    }
    *credentials = made;
    return 0;
}

void s3_credentials_close(struct s3_credentials *credentials)
{
    s3_secrets_close(credentials, sizeof(*credentials));
}
