/* SPDX-License-Identifier: MIT */
#include "direct.h"
#include "error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BLOCK = 4096,        /* a multiple of every common device's */
    SLOT_SIZE = 1 << 20, /* large enough to make a write's fixed costs vanish */
    SLOTS = 4,           /* of one stream: one fills, the others are on their way */
    HUGE_PAGE = 2 << 20,
};

struct lb_direct_slots {
    struct lb_direct *direct;
    uint8_t *memory; /* SLOTS of them */
    int done_fd;     /* an eventfd: a slot has been written */
    bool claimed;    /* under the lock */

    /* The stream's own. */
    int fd;
    unsigned filling; /* the slot */
    size_t filled;    /* bytes in it */
    off_t offset;     /* where it goes in the file */

    _Atomic bool busy[SLOTS]; /* is to be written */
    _Atomic bool waiting;     /* the stream is, for a slot */
    _Atomic int error;        /* -errno of a write */
    unsigned in_flight;       /* under the lock */
    off_t good;               /* under the lock: nothing before it has failed */
    pthread_cond_t all_done;  /* in_flight is 0 */
};

struct job {
    struct lb_direct_slots *slots;
    unsigned slot;
    off_t offset;
};

struct lb_direct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t writers[LB_DIRECT_THREADS];
    unsigned writer_count;
    bool stopping;
    struct job *jobs; /* a queue with room for every slot */
    unsigned job_first, job_count, job_room;
    unsigned set_count;
    void *mapping;
    size_t mapping_size;
    uint8_t *memory; /* of all slots, in the mapping */
    struct lb_direct_slots sets[];
};

/* ---- the writers ----------------------------------------------------------------------------- */

/* Returns 0 or -errno; *written is how much came before. */
static int write_all(int fd, const uint8_t *data, size_t size, off_t offset, size_t *written)
{
    *written = 0;
    while (*written < size) {
        ssize_t put = pwrite(fd, data + *written, size - *written, offset + (off_t)*written);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        *written += (size_t)put;
    }
    return 0;
}

static void finish_job(struct lb_direct *direct, const struct job *job, int rc, off_t good)
{
    struct lb_direct_slots *slots = job->slots;
    const uint64_t one = 1;

    pthread_mutex_lock(&direct->lock);
    if (rc < 0) {
        if (atomic_load(&slots->error) == 0 || good < slots->good)
            slots->good = good;
        atomic_store(&slots->error, rc);
    }
    atomic_store(&slots->busy[job->slot], false);
    if (atomic_exchange(&slots->waiting, false))
        (void)!write(slots->done_fd, &one, sizeof(one));
    if (--slots->in_flight == 0)
        pthread_cond_signal(&slots->all_done);
    pthread_mutex_unlock(&direct->lock);
}

static bool next_job(struct lb_direct *direct, struct job *job)
{
    bool found;

    pthread_mutex_lock(&direct->lock);
    while (direct->job_count == 0 && !direct->stopping)
        pthread_cond_wait(&direct->work, &direct->lock);
    found = direct->job_count > 0;
    if (found) {
        *job = direct->jobs[direct->job_first];
        direct->job_first = (direct->job_first + 1) % direct->job_room;
        direct->job_count--;
    }
    pthread_mutex_unlock(&direct->lock);
    return found;
}

/* Is not worth writing any more. What comes before a failure is, however late its turn. */
static bool follows_failure(struct lb_direct *direct, const struct job *job)
{
    bool follows;

    pthread_mutex_lock(&direct->lock);
    follows = atomic_load(&job->slots->error) < 0 && job->offset >= job->slots->good;
    pthread_mutex_unlock(&direct->lock);
    return follows;
}

static void *run_writer(void *argument)
{
    struct lb_direct *direct = argument;
    struct job job;

    while (next_job(direct, &job)) {
        const struct lb_direct_slots *slots = job.slots;
        size_t written = 0;
        int rc;

        if (follows_failure(direct, &job))
            rc = atomic_load(&slots->error);
        else
            rc = write_all(slots->fd, slots->memory + (size_t)job.slot * SLOT_SIZE, SLOT_SIZE,
                           job.offset, &written);
        finish_job(direct, &job, rc, job.offset + (off_t)written);
    }
    return NULL;
}

/* At the first stream, whose worker's thread takes no signals. Under the lock. */
static bool has_writers(struct lb_direct *direct)
{
    while (direct->writer_count < LB_DIRECT_THREADS &&
           pthread_create(&direct->writers[direct->writer_count], NULL, run_writer, direct) == 0)
        direct->writer_count++;
    return direct->writer_count > 0;
}

/* ---- one stream ------------------------------------------------------------------------------ */

static int set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

static struct lb_direct_slots *find_free(struct lb_direct *direct)
{
    /* In order, so that as few as possible are ever touched. */
    for (unsigned i = 0; i < direct->set_count; i++)
        if (!direct->sets[i].claimed)
            return &direct->sets[i];
    return NULL;
}

struct lb_direct_slots *lb_direct_claim(struct lb_direct *direct, int fd)
{
    struct lb_direct_slots *slots = NULL;
    uint64_t count;

    pthread_mutex_lock(&direct->lock);
    if (has_writers(direct))
        slots = find_free(direct);
    if (slots && set_direct(fd, true) < 0)
        slots = NULL;
    if (slots)
        slots->claimed = true;
    pthread_mutex_unlock(&direct->lock);
    if (!slots)
        return NULL;
    slots->fd = fd;
    slots->filling = 0;
    slots->filled = 0;
    slots->offset = 0;
    atomic_store(&slots->error, 0);
    (void)!read(slots->done_fd, &count, sizeof(count));
    return slots;
}

ssize_t lb_direct_place(struct lb_direct_slots *slots, struct lb_stream *stream, void **data)
{
    int error = atomic_load(&slots->error);
    int rc = 0;

    if (error < 0)
        return error;
    if (atomic_load(&slots->busy[slots->filling])) {
        uint64_t count;

        /* Watched to its end, which always comes: not even a stream that is stopped meanwhile takes
         * it back, and the next that has the slots may be called once without cause. */
        (void)!read(slots->done_fd, &count, sizeof(count));
        atomic_store(&slots->waiting, true);
        if (atomic_load(&slots->busy[slots->filling]))
            rc = lb_stream_watch(stream, slots->done_fd, POLLIN);
        else
            atomic_store(&slots->waiting, false);
        if (rc < 0 || atomic_load(&slots->busy[slots->filling]))
            return rc;
    }
    *data = slots->memory + (size_t)slots->filling * SLOT_SIZE + slots->filled;
    return (ssize_t)(SLOT_SIZE - slots->filled);
}

static void submit(struct lb_direct_slots *slots)
{
    struct lb_direct *direct = slots->direct;

    atomic_store(&slots->busy[slots->filling], true);
    pthread_mutex_lock(&direct->lock);
    assert(direct->job_count < direct->job_room);
    direct->jobs[(direct->job_first + direct->job_count++) % direct->job_room] =
        (struct job){slots, slots->filling, slots->offset};
    slots->in_flight++;
    pthread_cond_signal(&direct->work);
    pthread_mutex_unlock(&direct->lock);
}

bool lb_direct_has(const struct lb_direct_slots *slots, const void *data)
{
    return data == slots->memory + (size_t)slots->filling * SLOT_SIZE + slots->filled;
}

void lb_direct_put(struct lb_direct_slots *slots, size_t size)
{
    slots->filled += size;
    assert(slots->filled <= SLOT_SIZE);
    if (slots->filled < SLOT_SIZE)
        return;
    submit(slots);
    slots->filling = (slots->filling + 1) % SLOTS;
    slots->filled = 0;
    slots->offset += SLOT_SIZE;
}

/* The slot that was filling when the stream ended: its whole blocks, then what is less than one. */
static int write_rest(struct lb_direct_slots *slots)
{
    const uint8_t *data = slots->memory + (size_t)slots->filling * SLOT_SIZE;
    size_t whole = slots->filled & ~(size_t)(BLOCK - 1), written = 0;
    int rc = write_all(slots->fd, data, whole, slots->offset, &written);

    slots->good = slots->offset + (off_t)written;
    if (rc == 0)
        rc = set_direct(slots->fd, false);
    if (rc == 0) {
        rc = write_all(slots->fd, data + whole, slots->filled - whole, slots->offset + (off_t)whole,
                       &written);
        slots->good += (off_t)written;
    }
    return rc;
}

int lb_direct_flush(struct lb_direct_slots *slots)
{
    struct lb_direct *direct = slots->direct;
    int rc;

    pthread_mutex_lock(&direct->lock);
    while (slots->in_flight > 0)
        pthread_cond_wait(&slots->all_done, &direct->lock);
    pthread_mutex_unlock(&direct->lock);
    rc = atomic_load(&slots->error);
    if (rc == 0)
        rc = write_rest(slots);
    /* Slots behind a failed one may have been written: that would leave a hole. */
    if (rc < 0)
        (void)!ftruncate(slots->fd, slots->good);
    set_direct(slots->fd, false);
    pthread_mutex_lock(&direct->lock);
    slots->claimed = false;
    pthread_mutex_unlock(&direct->lock);
    return rc;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* A file that has no name, or none for long. */
static int open_nameless(int directory_fd)
{
    char name[60];
    int fd = openat(directory_fd, ".", O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd < 0 ? -errno : fd;
    snprintf(name, sizeof(name), ".lastbyte-direct-%ld", (long)getpid());
    fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_DIRECT | O_CLOEXEC,
                0600);
    if (fd < 0) {
        int rc = -errno;

        /* Linux makes the file before it refuses O_DIRECT (open(2), BUGS). */
        if (rc == -EINVAL)
            unlinkat(directory_fd, name, 0);
        return rc;
    }
    unlinkat(directory_fd, name, 0);
    return fd;
}

/* Does the file system write one block so? What else may go wrong is for the streams to tell. */
static int try_out(int directory_fd, const uint8_t *block)
{
    int fd = open_nameless(directory_fd), rc = 0;

    if (fd < 0)
        return fd == -EINVAL ? -EOPNOTSUPP : 0;
    if (pwrite(fd, block, BLOCK, 0) < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
        rc = -EOPNOTSUPP;
    close(fd);
    return rc;
}

static int init_set(struct lb_direct *direct, struct lb_direct_slots *slots)
{
    slots->direct = direct;
    slots->memory = direct->memory + (size_t)(slots - direct->sets) * SLOTS * (size_t)SLOT_SIZE;
    slots->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (slots->done_fd < 0)
        return -errno;
    pthread_cond_init(&slots->all_done, NULL);
    direct->set_count++;
    return 0;
}

/* In huge pages where they can be had: the kernel looks up every page of a direct write, and 512
 * times fewer of them halve what it costs. Reserved, and touched only as streams come. */
static int reserve_memory(struct lb_direct *direct, size_t size)
{
    uintptr_t start;

    direct->mapping_size = size + HUGE_PAGE;
    direct->mapping = mmap(NULL, direct->mapping_size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (direct->mapping == MAP_FAILED) {
        direct->mapping = NULL;
        return -ENOMEM;
    }
    start = ((uintptr_t)direct->mapping + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    direct->memory = (uint8_t *)direct->mapping + (start - (uintptr_t)direct->mapping);
    madvise(direct->memory, size, MADV_HUGEPAGE);
    return 0;
}

static int init(struct lb_direct *direct, unsigned sets)
{
    int rc;

    pthread_mutex_init(&direct->lock, NULL);
    pthread_cond_init(&direct->work, NULL);
    direct->job_room = sets * SLOTS;
    direct->jobs = calloc(direct->job_room, sizeof(*direct->jobs));
    rc = direct->jobs ? reserve_memory(direct, (size_t)direct->job_room * SLOT_SIZE) : -ENOMEM;
    for (unsigned i = 0; rc == 0 && i < sets; i++)
        rc = init_set(direct, &direct->sets[i]);
    return rc;
}

int lb_direct_open(struct lb_direct **result, int directory_fd, unsigned sets,
                   const char *sink_name, const char *argument, struct lb_error *error)
{
    struct lb_direct *direct = calloc(1, sizeof(*direct) + sets * sizeof(direct->sets[0]));
    int rc;

    if (!direct)
        return lb_error_set(error, -ENOMEM, "%s: out of memory", sink_name);
    rc = init(direct, sets);
    if (rc < 0) {
        lb_error_set(error, rc, "%s: no room for what is to be written directly: %s", sink_name,
                     strerror(-rc));
    } else {
        rc = try_out(directory_fd, direct->memory);
        if (rc < 0)
            lb_error_set(error, rc,
                         "%s:%s: its file system refuses O_DIRECT in blocks of %d bytes; leave out "
                         "--direct, or use another file system",
                         sink_name, argument, BLOCK);
    }
    if (rc < 0) {
        lb_direct_close(direct);
        return rc;
    }
    *result = direct;
    return 0;
}

void lb_direct_close(struct lb_direct *direct)
{
    if (!direct)
        return;
    pthread_mutex_lock(&direct->lock);
    direct->stopping = true;
    pthread_cond_broadcast(&direct->work);
    pthread_mutex_unlock(&direct->lock);
    for (unsigned i = 0; i < direct->writer_count; i++)
        pthread_join(direct->writers[i], NULL);
    for (unsigned i = 0; i < direct->set_count; i++) {
        close(direct->sets[i].done_fd);
        pthread_cond_destroy(&direct->sets[i].all_done);
    }
    if (direct->mapping)
        munmap(direct->mapping, direct->mapping_size);
    free(direct->jobs);
    pthread_cond_destroy(&direct->work);
    pthread_mutex_destroy(&direct->lock);
    free(direct);
}
