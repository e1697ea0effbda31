/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct server *watched;
static uint64_t deadline_ns;

static void show_file(const char *thread, const char *name)
{
    char path[300], text[2000];
    ssize_t size;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", thread, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return;
    text[size] = '\0';
    fprintf(stderr, "  thread %s %s: %s%s", thread, name, text, text[size - 1] == '\n' ? "" : "\n");
}

static void show_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        show_file(entry->d_name, "comm");
        show_file(entry->d_name, "wchan");
        show_file(entry->d_name, "syscall");
    }
    if (directory)
        closedir(directory);
}

static void *run(void *argument)
{
    (void)argument;
    for (;;) {
        pthread_mutex_lock(&mutex);
        if (watched && time_now_ns() > deadline_ns) {
            fprintf(stderr, "the watchdog ends the case %s on %s: it took too long\n",
                    watched->name, suite.backend);
            server_dump(watched);
            show_threads();
            abort();
        }
        pthread_mutex_unlock(&mutex);
        poll(NULL, 0, 100);
    }
    return NULL;
}

void watchdog_start(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, NULL) != 0)
        abort();
    pthread_detach(thread);
}

void watchdog_watch(struct server *server, unsigned seconds)
{
    if (seconds == 0)
        seconds = 60;
    if (scale_small())
        seconds *= 5;
    pthread_mutex_lock(&mutex);
    watched = server;
    deadline_ns = time_now_ns() + seconds * UINT64_C(1000000000);
    pthread_mutex_unlock(&mutex);
}

void watchdog_rest(void)
{
    pthread_mutex_lock(&mutex);
    watched = NULL;
    pthread_mutex_unlock(&mutex);
}
