/* SPDX-License-Identifier: MIT */
#include "harden.h"

#include "command.h"
#include "console.h"
#include "dump.h"
#include "landlock.h"
#include "seccomp.h"
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *const names[HARDEN_PARTS] = {
    [HARDEN_NO_NEW_PRIVS] = "no-new-privs", [HARDEN_NO_DUMP] = "no-dump",
    [HARDEN_LANDLOCK] = "landlock",         [HARDEN_SECCOMP] = "seccomp",
    [HARDEN_URING] = "uring-restrictions",
};

static const char by_option[] = "off by --no-harden";

/* ---- the option ------------------------------------------------------------------------------ */

bool harden_describe(size_t index, struct lb_description *part)
{
    if (index > HARDEN_PARTS)
        return false;
    part->name = index ? names[index - 1] : "all";
    return true;
}

static bool read_name(bool off[HARDEN_PARTS], const char *word, size_t size)
{
    bool all = size == strlen("all") && memcmp(word, "all", size) == 0;
    bool known = all;

    for (int part = 0; part < HARDEN_PARTS; part++) {
        bool same = strlen(names[part]) == size && memcmp(word, names[part], size) == 0;

        off[part] = off[part] || all || same;
        known = known || same;
    }
    return known;
}

int harden_read(bool off[HARDEN_PARTS], const char *list)
{
    for (const char *word = list; word;) {
        size_t size = strcspn(word, ",");

        if (!read_name(off, word, size)) {
            console_tell("--no-harden=%s: there is no %.*s; use all, %s, %s, %s, %s or %s", list,
                         (int)size, word, names[0], names[1], names[2], names[3], names[4]);
            return STATUS_USAGE;
        }
        word = word[size] ? word + size + 1 : NULL;
    }
    return STATUS_OK;
}

/* ---- the probe ------------------------------------------------------------------------------- */

static void add_feature(struct lb_probe *probe, const char *name, const char *why)
{
    struct lb_feature *feature = &probe->features[probe->count++];

    *feature = (struct lb_feature){LB_FEATURE_INIT, .name = name, .usable = !why};
    if (why)
        snprintf(feature->why, sizeof(feature->why), "%s", why);
}

/* Rules that forbid all that a leak checker or a profiler does at the end. */
static int check_landlock(void)
{
#ifdef INSTRUMENTED
    return -ENOTSUP;
#else
    return landlock_check();
#endif
}

static const char *why_not_landlock(int error)
{
    return error == -ENOTSUP ? "this build is instrumented, and what it reports with needs files"
                             : landlock_why(error);
}

/* A leak checker looks into its own process as a debugger does. */
static const char *why_not_no_dump(void)
{
#ifdef INSTRUMENTED
    return "this build is instrumented, and looks into its own memory";
#else
    return NULL;
#endif
}

void harden_probe(struct lb_probe *probe)
{
    int landlock = check_landlock(), seccomp = seccomp_check();
    bool no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0;

    add_feature(probe, "no_new_privs", no_new_privs ? NULL : "the kernel refuses it");
    add_feature(probe, "no_dump", why_not_no_dump());
    add_feature(probe, "landlock", landlock < 0 ? why_not_landlock(landlock) : NULL);
    add_feature(probe, "seccomp", seccomp < 0 ? seccomp_why(seccomp) : NULL);
}

/* ---- the files ------------------------------------------------------------------------------- */

static int open_directory(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int allow_path(const struct harden *harden, const char *path, enum landlock_use use)
{
    int fd = open_directory(path);
    int rc;

    /* What can't be opened now can't be used later either. */
    if (fd < 0)
        return 0;
    rc = landlock_allow(harden->rules_fd, fd, use);
    close(fd);
    return rc;
}

/* The directory of a file, for a path that has been opened already and so is not too long. */
static void directory_of(char directory[PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash)
        snprintf(directory, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(directory, PATH_MAX, ".");
}

static int allow_temporary(const struct harden *harden)
{
    return allow_path(harden, lb_temporary_directory(), LANDLOCK_USE_FILES);
}

/* A Unix socket's file is removed at the end. */
static int allow_socket_file(const struct harden *harden, const char *address)
{
    const char *path = address + strlen("unix:");
    char directory[PATH_MAX];

    if (strncmp(address, "unix:", strlen("unix:")) != 0 || *path == '@')
        return 0;
    directory_of(directory, path);
    return allow_path(harden, directory, LANDLOCK_USE_REMOVE);
}

static int allow_socket_files(const struct harden *harden)
{
    int rc = harden->metrics ? allow_socket_file(harden, harden->metrics) : 0;

    for (const char *const *address = harden->listen; rc == 0 && *address; address++)
        rc = allow_socket_file(harden, *address);
    return rc;
}

/* What takes a file's place comes by another name, or by another link: by what is in its directory,
 * and in that of what it leads to. */
static int allow_reread(const struct harden *harden)
{
    char directory[PATH_MAX], real[PATH_MAX];
    int rc = 0;

    for (const char *const *path = harden->reread; rc == 0 && *path; path++) {
        directory_of(directory, *path);
        rc = allow_path(harden, directory, LANDLOCK_USE_READ);
        if (rc < 0 || !realpath(*path, real))
            continue;
        directory_of(directory, real);
        rc = allow_path(harden, directory, LANDLOCK_USE_READ);
    }
    return rc;
}

static int open_rules(struct harden *harden)
{
    int rc = 0;

    harden->rules_fd = landlock_open(harden->sink->needs & LB_NEEDS_NETWORK);
    if (harden->rules_fd < 0)
        return harden->rules_fd;
    if (harden->sink->needs & LB_NEEDS_DIRECTORY)
        rc = landlock_allow(harden->rules_fd, harden->sink->directory(harden->sink_context),
                            LANDLOCK_USE_FILES);
    if (rc == 0 && harden->sink->needs & LB_NEEDS_TEMPORARY)
        rc = allow_temporary(harden);
    if (rc == 0)
        rc = allow_socket_files(harden);
    if (rc == 0)
        rc = allow_reread(harden);
    return rc;
}

/* The backend sees to that one; the probe knows whether it can. */
static const char *why_not_uring(const char *backend)
{
    struct lb_probe probe = {LB_PROBE_INIT};
    bool ring = false, usable = false;

    lb_probe(&probe);
    for (size_t i = 0; i < probe.count; i++) {
        const struct lb_feature *feature = &probe.features[i];

        ring = ring || (feature->ring && strcmp(feature->name, backend) == 0);
        usable = usable || (feature->usable && strcmp(feature->name, "uring_restrictions") == 0);
    }
    if (!ring)
        return "no ring is used";
    return usable ? NULL : "the kernel refuses it";
}

void harden_prepare(struct harden *harden)
{
    int rc;

    harden->rules_fd = -1;
    for (int part = 0; part < HARDEN_PARTS; part++)
        harden->missing[part] = harden->off[part] ? by_option : NULL;
    if (!harden->missing[HARDEN_NO_DUMP])
        harden->missing[HARDEN_NO_DUMP] = why_not_no_dump();
    if (!harden->missing[HARDEN_URING])
        harden->missing[HARDEN_URING] = why_not_uring(harden->backend);
    if (harden->missing[HARDEN_LANDLOCK])
        return;
    rc = check_landlock();
    if (rc == 0)
        rc = open_rules(harden);
    if (rc < 0)
        harden->missing[HARDEN_LANDLOCK] = why_not_landlock(rc);
}

/* ---- the process ----------------------------------------------------------------------------- */

void harden_begin(struct harden *harden)
{
    const char **missing = harden->missing;

    if (!missing[HARDEN_NO_NEW_PRIVS] && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        missing[HARDEN_NO_NEW_PRIVS] = "the kernel refuses it";
    if (!missing[HARDEN_NO_DUMP] && lb_dump_forbid() < 0)
        missing[HARDEN_NO_DUMP] = "the kernel refuses it";
}

void harden_enforce(struct harden *harden)
{
    const char **missing = harden->missing;
    int rc;

    if (!missing[HARDEN_LANDLOCK]) {
        rc = landlock_enforce(harden->rules_fd);
        if (rc < 0)
            missing[HARDEN_LANDLOCK] = landlock_why(rc);
    }
    if (!missing[HARDEN_SECCOMP]) {
        rc = seccomp_enforce(harden->sink->needs & LB_NEEDS_NETWORK);
        if (rc < 0)
            missing[HARDEN_SECCOMP] = seccomp_why(rc);
    }
}

void harden_tell(const struct harden *harden)
{
    char text[100] = "nothing";
    size_t used = 0;

    for (int part = 0; part < HARDEN_PARTS; part++)
        if (!harden->missing[part])
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
                                     names[part]);
    console_tell("hardening: %s", text);
    for (int part = 0; part < HARDEN_PARTS; part++)
        if (harden->missing[part])
            console_tell("hardening without %s: %s", names[part], harden->missing[part]);
    if (geteuid() == 0)
        console_tell("running as root; --user=NAME gives that up once everything is open");
}

void harden_done(struct harden *harden)
{
    if (harden->rules_fd >= 0)
        close(harden->rules_fd);
    harden->rules_fd = -1;
}
