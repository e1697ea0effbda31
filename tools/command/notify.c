/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include "console.h"
#include "value.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_INTERVAL_MS = 5000, STATUS_SIZE = 200 };

static int notify_fd = -1;
static bool watched;
static int interval_ms = -1;
static char last[STATUS_SIZE];

/* Nobody waits for a manager that doesn't read, and what it missed it is told again. */
static void say(const char *text)
{
    if (notify_fd >= 0)
        (void)send(notify_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || size >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (connect(fd, (struct sockaddr *)&address, length) < 0) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

/* Half of the time after which it is given up, if it is this process that is watched. */
static int watchdog_ms(void)
{
    const char *time = getenv("WATCHDOG_USEC"), *process = getenv("WATCHDOG_PID");
    uint64_t us, pid;

    if (!time || value_count(time, &us) || us == 0)
        return -1;
    if (process && (value_count(process, &pid) || pid != (uint64_t)getpid()))
        return -1;
    uint64_t half_ms = us / 2000;
    if (half_ms > STATUS_INTERVAL_MS)
        return STATUS_INTERVAL_MS;
    return half_ms ? (int)half_ms : 1;
}

void notify_open(void)
{
    const char *name = getenv("NOTIFY_SOCKET");

    if (name && name[0]) {
        int wanted_ms = watchdog_ms();

        notify_fd = connect_to(name);
        if (notify_fd < 0)
            console_tell("NOTIFY_SOCKET=%s: %s; systemd is told nothing", name,
                         strerror(-notify_fd));
        watched = notify_fd >= 0 && wanted_ms > 0;
        interval_ms = notify_fd < 0 ? -1 : watched ? wanted_ms : STATUS_INTERVAL_MS;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

int notify_interval_ms(void)
{
    return interval_ms;
}

void notify_ready(void)
{
    say("READY=1");
}

void notify_alive(const char *status)
{
    char text[STATUS_SIZE + 32];
    bool same = strncmp(status, last, sizeof(last) - 1) == 0;

    if (same && !watched)
        return;
    snprintf(last, sizeof(last), "%s", status);
    snprintf(text, sizeof(text), "%s%s%s", watched ? "WATCHDOG=1\n" : "",
             same ? "" : "STATUS=", same ? "" : last);
    say(text);
}

void notify_stopping(void)
{
    say("STOPPING=1");
}
