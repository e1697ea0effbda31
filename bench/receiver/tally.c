/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include "clock.h"
#include "message.h"
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a workload that does more than count needs of each stream. */
struct tally_extra {
    int file; /* -1: none */
    bool stamped, checked;
    struct message_reader reader;
    struct payload_check check;
};

static int open_file(struct receiver *receiver)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/%u", receiver->directory, receiver->files++);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        arrivals_wrong(receiver->arrivals, "%s: %s", path, strerror(errno));
    return fd;
}

void tally_begin(struct receiver *receiver, struct tally *tally)
{
    const struct trial *trial = receiver->trial;
    unsigned demands = trial->workload->demands;
    bool stamped = demands & DEMAND_CONTENT;
    bool files = demands & DEMAND_FILES;

    *tally = (struct tally){0};
    arrivals_open(receiver->arrivals);
    if (!stamped && !files && !trial->verify)
        return;
    tally->extra = calloc(1, sizeof(*tally->extra));
    if (!tally->extra) {
        arrivals_wrong(receiver->arrivals, "out of memory");
        return;
    }
    tally->extra->file = files ? open_file(receiver) : -1;
    tally->extra->stamped = stamped;
    tally->extra->checked = trial->verify && !stamped;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

void tally_look(struct receiver *receiver, struct tally *tally, const void *data, size_t size)
{
    struct tally_extra *extra = tally->extra;

    if (extra->stamped)
        message_read(&extra->reader, data, size, clock_now(), &receiver->arrivals->latency);
    if (extra->checked)
        payload_check(&extra->check, data, size);
    if (extra->file >= 0) {
        int rc = write_all(extra->file, data, size);

        if (rc < 0)
            arrivals_wrong(receiver->arrivals, "writing a file: %s", strerror(-rc));
    }
}

bool tally_end(struct receiver *receiver, struct tally *tally, int error)
{
    struct tally_extra *extra = tally->extra;

    if (extra) {
        if (extra->reader.wrong || extra->check.wrong)
            arrivals_wrong(receiver->arrivals, "a stream's bytes are not those that were sent");
        if (extra->file >= 0 && close(extra->file) < 0)
            arrivals_wrong(receiver->arrivals, "closing a file: %s", strerror(errno));
        free(extra);
        tally->extra = NULL;
    }
    return arrivals_end(receiver->arrivals, tally->bytes, error);
}
