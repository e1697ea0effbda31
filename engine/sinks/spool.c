/* SPDX-License-Identifier: MIT */
#include "spool.h"
#include "error.h"
#include "output.h"
#include "temporary.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMORY_TOTAL = 64 << 20,
    LARGE_PARTS = 64, /* so many spools can be large at a time: these look after themselves */
    LOOK_MS = 500
};

#define TOTAL ((uint64_t)1 << 30)

/* ---- all of them ----------------------------------------------------------------------------- */

static int try_directory(const struct lb_spools *spools, struct lb_error *error)
{
    int fd = lb_temporary_open(spools->directory);

    if (fd < 0)
        return lb_error_set(error, fd,
                            "%s: no temporary file can be made there: %s; set TMPDIR to a "
                            "directory where one can",
                            spools->directory, strerror(-fd));
    close(fd);
    return 0;
}

int lb_spools_check(const struct lb_spools *spools, struct lb_error *error)
{
    return spools->usable ? try_directory(spools, error) : 0;
}

int lb_spools_init(struct lb_spools *spools, const char *sink_name,
                   const struct lb_sink_options *options, struct lb_error *error)
{
    const char *directory = lb_temporary_directory();
    bool given = strcmp(directory, "/tmp") != 0;
    struct lb_error why = {LB_ERROR_INIT};
    int rc;

    *spools = (struct lb_spools){
        .total = options && options->spool_total ? options->spool_total : TOTAL,
        .memory_total = MEMORY_TOTAL,
    };
    if (strlen(directory) >= sizeof(spools->directory))
        return lb_error_set(error, -ENAMETOOLONG, "%s: TMPDIR is too long", sink_name);
    memcpy(spools->directory, directory, strlen(directory) + 1);
    rc = try_directory(spools, &why);
    spools->usable = rc == 0;
    if (rc < 0 && given)
        return lb_error_set(error, rc, "%s: TMPDIR=%s", sink_name, why.text);
    if (rc < 0 && options && options->note)
        options->note(options->note_context, LB_NOTE_WARNING, why.text);
    pthread_mutex_init(&spools->lock, NULL);
    return 0;
}

void lb_spools_done(struct lb_spools *spools)
{
    pthread_mutex_destroy(&spools->lock);
}

bool lb_spools_take_memory(struct lb_spools *spools, int64_t bytes)
{
    uint64_t before = atomic_fetch_add(&spools->memory, (uint64_t)bytes);

    if (bytes <= 0 || before + (uint64_t)bytes <= spools->memory_total)
        return true;
    atomic_fetch_sub(&spools->memory, (uint64_t)bytes);
    return false;
}

/* ---- the bound of all, under its lock -------------------------------------------------------- */

static void unlist(struct lb_spool *spool)
{
    for (struct lb_spool **link = &spool->spools->first; *link; link = &(*link)->next)
        if (*link == spool) {
            *link = spool->next;
            break;
        }
    spool->listed = false;
}

/* Its stream learns of it when it looks; what it holds is free at once. */
static void doom(struct lb_spool *spool)
{
    unlist(spool);
    spool->doomed = true;
    spool->spools->used -= spool->charged;
    spool->charged = 0;
    if (ftruncate(spool->fd, 0) < 0) {
        /* It goes with its stream. */
    }
}

static struct lb_spool *largest(const struct lb_spools *spools)
{
    struct lb_spool *found = spools->first;

    for (struct lb_spool *spool = found; spool; spool = spool->next)
        if (spool->charged > found->charged)
            found = spool;
    return found;
}

/* Makes room for more of a spool. Returns false if it is to go itself. */
static bool charge(struct lb_spool *spool, uint64_t more)
{
    struct lb_spools *spools = spool->spools;

    while (!spool->doomed && spools->used + more > spools->total) {
        struct lb_spool *victim = largest(spools);

        doom(victim && victim->charged > spool->charged + more ? victim : spool);
    }
    if (spool->doomed)
        return false;
    if (!spool->listed) {
        spool->next = spools->first;
        spools->first = spool;
        spool->listed = true;
    }
    spools->used += more;
    spool->charged += more;
    return true;
}

static void discharge(struct lb_spool *spool)
{
    spool->spools->used -= spool->charged;
    spool->charged = 0;
}

/* ---- one of them ----------------------------------------------------------------------------- */

void lb_spool_init(struct lb_spool *spool, struct lb_spools *spools, struct lb_stream *stream,
                   uint64_t max)
{
    *spool = (struct lb_spool){.spools = spools, .stream = stream, .fd = -1, .max = max};
}

void lb_spool_done(struct lb_spool *spool)
{
    if (spool->fd < 0)
        return;
    /* First: who dooms it would make another file of its number empty. */
    pthread_mutex_lock(&spool->spools->lock);
    discharge(spool);
    unlist(spool);
    pthread_mutex_unlock(&spool->spools->lock);
    close(spool->fd);
    spool->fd = -1;
    spool->size = 0;
    spool->taken = 0;
}

static int over_total(struct lb_spool *spool)
{
    return lb_stream_over_limit(spool->stream, "spool-total");
}

int lb_spool_look(struct lb_spool *spool)
{
    bool doomed, large;

    if (spool->fd < 0)
        return 0;
    pthread_mutex_lock(&spool->spools->lock);
    doomed = spool->doomed;
    large = spool->listed && spool->charged > spool->spools->total / LARGE_PARTS;
    pthread_mutex_unlock(&spool->spools->lock);
    if (doomed)
        return over_total(spool);
    if (large)
        lb_stream_alarm(spool->stream, LOOK_MS);
    return 0;
}

int lb_spool_keep(struct lb_spool *spool)
{
    bool doomed;

    pthread_mutex_lock(&spool->spools->lock);
    unlist(spool);
    doomed = spool->doomed;
    pthread_mutex_unlock(&spool->spools->lock);
    return doomed ? over_total(spool) : 0;
}

int lb_spool_append(struct lb_spool *spool, const void *data, size_t size)
{
    bool allowed;
    int rc;

    if (size > spool->max - spool->size)
        return -EFBIG;
    if (spool->fd < 0) {
        rc = lb_temporary_open(spool->spools->directory);
        if (rc < 0)
            return rc;
        spool->fd = rc;
    }
    pthread_mutex_lock(&spool->spools->lock);
    allowed = charge(spool, size);
    pthread_mutex_unlock(&spool->spools->lock);
    if (!allowed)
        return over_total(spool);
    rc = lb_file_write(spool->fd, data, size);
    if (rc < 0)
        return rc;
    spool->size += size;
    return lb_spool_look(spool);
}

/* Looks afterwards: what was read may be of a file that was made empty. */
ssize_t lb_spool_peek(struct lb_spool *spool, void *data, size_t size)
{
    ssize_t got;
    int rc;

    assert(lb_spool_waiting(spool) > 0);
    do {
        got = pread(spool->fd, data, size, (off_t)spool->taken);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        got = -errno;
    rc = lb_spool_look(spool);
    if (rc < 0)
        return rc;
    return got == 0 ? -EIO : got;
}

void lb_spool_take(struct lb_spool *spool, size_t size)
{
    assert(size <= lb_spool_waiting(spool));
    spool->taken += size;
    /* Empty: begin anew, so that the file is never larger than what waited at one time. If that
     * fails it is larger, and still right. */
    if (spool->taken == spool->size && ftruncate(spool->fd, 0) == 0 &&
        lseek(spool->fd, 0, SEEK_SET) == 0) {
        pthread_mutex_lock(&spool->spools->lock);
        discharge(spool);
        pthread_mutex_unlock(&spool->spools->lock);
        spool->size = 0;
        spool->taken = 0;
    }
}
