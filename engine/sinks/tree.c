/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PATH_SIZE = 64,
    DEPTH_MAX = 64,               /* of a tree; what is below is found once its parents are dead */
    CHILDREN_MAX = 256,           /* of one process; the same */
    FOUND_MAX = 1024,             /* of one tree; the same */
    PASSES_MAX = 16,              /* for a tree that grows meanwhile */
    ORPHANS_MAX = 16 * 1024,      /* of this process */
    ENVIRONMENT_MAX = 256 * 1024, /* more than the usual limit of one argument */
};

/* Reads a file of /proc whole, or its begin, with a NUL after it. Returns its size or -errno. */
static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = 1;

    if (fd < 0)
        return -errno;
    while (got > 0 && used < size - 1) {
        got = read(fd, text + used, size - 1 - used);
        if (got > 0)
            used += (size_t)got;
    }
    close(fd);
    text[used] = '\0';
    return (ssize_t)used;
}

static size_t children_of_thread(const char *path, pid_t *children, size_t max)
{
    FILE *file = fopen(path, "re");
    size_t count = 0;

    while (file && count < max && fscanf(file, "%d", &children[count]) == 1)
        count++;
    if (file)
        fclose(file);
    return count;
}

/* Of all threads of a process. */
static size_t children_of(pid_t pid, pid_t *children, size_t max)
{
    char path[PATH_SIZE];
    const struct dirent *entry;
    size_t count = 0;
    DIR *threads;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    threads = opendir(path);
    if (!threads)
        return 0;
    while ((entry = readdir(threads))) {
        int thread = atoi(entry->d_name);

        if (thread <= 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, thread);
        count += children_of_thread(path, children + count, max - count);
    }
    closedir(threads);
    return count;
}

static pid_t parent_of(pid_t pid)
{
    char path[PATH_SIZE], text[512];
    const char *after_name;
    pid_t parent = 0;
    char state;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (read_file(path, text, sizeof(text)) <= 0)
        return 0;
    after_name = strrchr(text, ')');
    return after_name && sscanf(after_name + 1, " %c %d", &state, &parent) == 2 && state != 'Z'
               ? parent
               : 0;
}

/* ---- orphans --------------------------------------------------------------------------------- */

/* Which stream a process was started for, by its environment; 0 if that doesn't say. */
static uint64_t stream_of(pid_t pid)
{
    static const char name[] = "LASTBYTE_STREAM=";
    char path[PATH_SIZE], *text = malloc(ENVIRONMENT_MAX);
    uint64_t id = 0;
    ssize_t size;

    snprintf(path, sizeof(path), "/proc/%d/environ", pid);
    size = text ? read_file(path, text, ENVIRONMENT_MAX) : 0;
    for (const char *word = text; size > 0 && word < text + size; word += strlen(word) + 1)
        if (strncmp(word, name, sizeof(name) - 1) == 0)
            id = strtoull(word + sizeof(name) - 1, NULL, 10);
    free(text);
    return id;
}

static bool reads(pid_t pid, uint64_t pipe)
{
    char path[PATH_SIZE + 256], target[PATH_SIZE], wanted[PATH_SIZE];
    const struct dirent *entry;
    bool found = false;
    DIR *fds;

    snprintf(wanted, sizeof(wanted), "pipe:[%" PRIu64 "]", pipe);
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    fds = opendir(path);
    if (!fds)
        return false;
    while (!found && (entry = readdir(fds))) {
        ssize_t size;

        snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
        size = readlink(path, target, sizeof(target) - 1);
        if (size <= 0)
            continue;
        target[size] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    closedir(fds);
    return found;
}

/* Once its parent is dead nothing else tells what a process came from. */
static bool belongs_to(const struct lb_tree *tree, pid_t pid)
{
    uint64_t id = stream_of(pid);

    if (id)
        return id == tree->id;
    return getpgid(pid) == tree->group || reads(pid, tree->input);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* Those that are stopped, by descriptors, as numbers may become another's. */
struct found {
    size_t count;
    struct {
        pid_t pid;
        int fd;
    } all[FOUND_MAX];
};

static bool is_found(const struct found *found, pid_t pid)
{
    for (size_t i = 0; i < found->count; i++)
        if (found->all[i].pid == pid)
            return true;
    return false;
}

/* Its parent may have waited for it meanwhile, and its number be another's: so it is held first,
 * and looked at then. */
static void stop(struct found *found, pid_t pid, pid_t parent)
{
    int fd;

    if (found->count == FOUND_MAX || is_found(found, pid))
        return;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    if (parent_of(pid) != parent) {
        close(fd);
        return;
    }
    syscall(SYS_pidfd_send_signal, fd, SIGSTOP, NULL, 0);
    found->all[found->count].pid = pid;
    found->all[found->count++].fd = fd;
}

/* A parent before its children: then they are all that it has. */
static void stop_with_children(struct found *found, pid_t pid, pid_t parent, unsigned depth)
{
    pid_t children[CHILDREN_MAX];
    size_t count;

    stop(found, pid, parent);
    if (depth == DEPTH_MAX)
        return;
    count = children_of(pid, children, CHILDREN_MAX);
    for (size_t i = 0; i < count; i++)
        stop_with_children(found, children[i], pid, depth + 1);
}

static void stop_orphans(struct found *found, const struct lb_tree *tree,
                         bool (*is_other)(void *context, pid_t pid), void *context)
{
    pid_t *children = malloc(ORPHANS_MAX * sizeof(*children)), self = getpid();
    size_t count = children ? children_of(self, children, ORPHANS_MAX) : 0;

    for (size_t i = 0; i < count; i++)
        if (children[i] != tree->leader && !is_other(context, children[i]) &&
            (is_found(found, children[i]) || belongs_to(tree, children[i])))
            stop_with_children(found, children[i], self, 0);
    free(children);
}

static void kill_found(struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        syscall(SYS_pidfd_send_signal, found->all[i].fd, SIGKILL, NULL, 0);
        close(found->all[i].fd);
    }
}

bool lb_tree_kill(const struct lb_tree *tree, bool (*is_other)(void *context, pid_t pid),
                  void *context)
{
    static struct found found;
    size_t before;

    found.count = 0;
    /* Ours, and not waited for: the number is its own. */
    if (tree->leader)
        kill(-tree->leader, SIGSTOP);
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        before = found.count;
        if (tree->leader)
            stop_with_children(&found, tree->leader, getpid(), 0);
        stop_orphans(&found, tree, is_other, context);
        if (found.count == before)
            break;
    }
    if (tree->leader)
        kill(-tree->leader, SIGKILL);
    kill_found(&found);
    return found.count > 0;
}
