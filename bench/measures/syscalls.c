/* SPDX-License-Identifier: MIT */
#include "syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ID_PATH "events/raw_syscalls/sys_enter/id"

/* A mount of tracefs that has no place in the file system and vanishes with its descriptor. */
static int mount_detached(void)
{
    int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
    int fd = -1;

    if (context < 0)
        return -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
    close(context);
    return fd;
}

static int open_id(void)
{
    int fd = open("/sys/kernel/tracing/" ID_PATH, O_RDONLY | O_CLOEXEC);
    int directory;

    if (fd < 0)
        fd = open("/sys/kernel/debug/tracing/" ID_PATH, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    directory = mount_detached();
    if (directory < 0)
        return -ENOENT;
    fd = openat(directory, ID_PATH, O_RDONLY | O_CLOEXEC);
    close(directory);
    return fd < 0 ? -ENOENT : fd;
}

static long read_id(void)
{
    char text[32] = "";
    int fd = open_id();
    ssize_t length;

    if (fd < 0)
        return fd;
    length = read(fd, text, sizeof(text) - 1);
    close(fd);
    return length > 0 ? strtol(text, NULL, 10) : -ENOENT;
}

int syscalls_open(void)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_TRACEPOINT,
        .size = sizeof(attributes),
        .inherit = 1,
    };
    long id = read_id();
    int fd;

    if (id < 0)
        return (int)id;
    attributes.config = (uint64_t)id;
    fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int64_t syscalls_read(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? (int64_t)count : -EIO;
}
