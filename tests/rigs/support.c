/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool scale_small(void)
{
    const char *scale = getenv("LASTBYTE_TEST_SCALE");

    return scale && strcmp(scale, "small") == 0;
}

unsigned scale_count(unsigned full, unsigned small)
{
    return scale_small() ? small : full;
}

int patience_ms(void)
{
    return scale_small() ? 120000 : 30000;
}

uint64_t time_thread_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t time_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void time_nap(void)
{
    const struct timespec nap = {.tv_nsec = 30000};

    nanosleep(&nap, NULL);
}

static unsigned count_entries(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;

    if (!directory)
        return 0;
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

unsigned process_count_fds(void)
{
    return count_entries("/proc/self/fd") - 1; /* but for the directory's own */
}

unsigned process_count_threads(void)
{
    return count_entries("/proc/self/task");
}

size_t process_raise_fd_limit(size_t count)
{
    const struct rlimit more = {count, count};
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_max < count)
        (void)setrlimit(RLIMIT_NOFILE, &more); /* as root */
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count) {
        limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : count;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

int directory_make(char *path, size_t size)
{
    const char *parent = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/lastbyte-test-XXXXXX", parent ? parent : "/tmp");

    if (length < 0 || (size_t)length >= size)
        return -ENAMETOOLONG;
    return mkdtemp(path) ? 0 : -errno;
}

void directory_remove(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
    rmdir(path);
}

int gate_init(struct gate *gate)
{
    gate->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gate->fd < 0)
        return -errno;
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->opened, NULL);
    atomic_store(&gate->open, false);
    return 0;
}

void gate_done(struct gate *gate)
{
    close(gate->fd);
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->mutex);
}

void gate_open(struct gate *gate)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&gate->mutex);
    atomic_store(&gate->open, true);
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
    if (write(gate->fd, &one, sizeof(one)) < 0)
        abort(); /* an eventfd takes one more unless it holds nearly 2^64 */
}

bool gate_is_open(struct gate *gate)
{
    return atomic_load(&gate->open);
}

void gate_wait(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (!atomic_load(&gate->open))
        pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

static uint64_t payload_word(uint64_t tag, uint64_t index)
{
    return index == 0 ? tag : mix(mix(tag) + index * 0x9e3779b97f4a7c15);
}

void payload_fill(uint64_t tag, uint64_t offset, void *buffer, size_t size)
{
    uint8_t *bytes = buffer;

    while (size > 0) {
        uint64_t word = payload_word(tag, offset / 8);
        size_t skip = offset % 8;
        size_t part = 8 - skip < size ? 8 - skip : size;

        memcpy(bytes, (const uint8_t *)&word + skip, part);
        bytes += part;
        offset += part;
        size -= part;
    }
}

XXH128_hash_t payload_digest(uint64_t tag, uint64_t size)
{
    XXH3_state_t *state = XXH3_createState();
    uint8_t buffer[16384];
    XXH128_hash_t digest;

    XXH3_128bits_reset(state);
    for (uint64_t offset = 0; offset < size;) {
        size_t part = size - offset < sizeof(buffer) ? (size_t)(size - offset) : sizeof(buffer);

        payload_fill(tag, offset, buffer, part);
        XXH3_128bits_update(state, buffer, part);
        offset += part;
    }
    digest = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return digest;
}

uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    return mix(*state);
}

uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high)
{
    return low + random_next(state) % (high - low + 1);
}

static int parse_unix(const char *path, struct sockaddr_storage *address, socklen_t *size)
{
    struct sockaddr_un *un = (struct sockaddr_un *)address;

    if (strlen(path) >= sizeof(un->sun_path))
        return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    *size = sizeof(*un);
    return 0;
}

/* Only the numeric forms that an engine tells: the tests ask no resolver. */
static int parse_address(const char *text, struct sockaddr_storage *address, socklen_t *size)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    char host[64];
    unsigned short port;

    memset(address, 0, sizeof(*address));
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, address, size);
    if (sscanf(text, "[%63[^]]]:%hu", host, &port) == 2) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *size = sizeof(*in6);
        return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    if (sscanf(text, "%63[^:]:%hu", host, &port) == 2) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *size = sizeof(*in);
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int connect_socket(const char *text, int flags)
{
    struct sockaddr_storage address;
    socklen_t size;
    int fd, error = parse_address(text, &address, &size);

    if (error)
        return error;
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int peer_connect(const char *address)
{
    const struct timeval patience = {.tv_sec = patience_ms() / 1000};
    int fd = connect_socket(address, 0);

    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

int peer_connect_begin(const char *address)
{
    return connect_socket(address, SOCK_NONBLOCK);
}

int peer_name(int fd, char *name, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char host[INET6_ADDRSTRLEN];

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *in = (struct sockaddr_in *)&address;

        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(name, size, "%s:%d", host, ntohs(in->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(name, size, "[%s]:%d", host, ntohs(in6->sin6_port));
    } else {
        snprintf(name, size, "unix:pid=%d,uid=%d", (int)getpid(), (int)getuid());
    }
    return 0;
}

int peer_send(int fd, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

int peer_send_payload(int fd, uint64_t tag, uint64_t offset, uint64_t end, size_t write_size)
{
    uint8_t *buffer = malloc(write_size);
    int error = 0;

    while (offset < end && error == 0) {
        size_t part = end - offset < write_size ? (size_t)(end - offset) : write_size;

        payload_fill(tag, offset, buffer, part);
        error = peer_send(fd, buffer, part);
        offset += part;
    }
    free(buffer);
    return error;
}

static ssize_t receive_some(int fd, void *data, size_t size)
{
    ssize_t received;

    do
        received = recv(fd, data, size, 0);
    while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}

int peer_receive(int fd, void *data, size_t size)
{
    uint8_t *bytes = data;

    while (size > 0) {
        ssize_t received = receive_some(fd, bytes, size);

        if (received < 0)
            return (int)received;
        if (received == 0)
            return -EPIPE;
        bytes += received;
        size -= (size_t)received;
    }
    return 0;
}

int peer_await_eof(int fd)
{
    uint8_t buffer[4096];
    ssize_t received;

    while ((received = receive_some(fd, buffer, sizeof(buffer))) > 0)
        ;
    return (int)received;
}

int peer_await_acked(int fd)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    int queued = 0;

    while (time_now_ns() < deadline) {
        if (ioctl(fd, SIOCOUTQ, &queued) < 0)
            return -errno;
        if (queued == 0)
            return 0;
        time_nap();
    }
    return -ETIMEDOUT;
}

int peer_finish(int fd, const void *data, size_t size)
{
    int error = peer_send(fd, data, size);

    if (error == 0 && shutdown(fd, SHUT_WR) < 0)
        error = -errno;
    if (error == 0)
        error = peer_await_eof(fd);
    close(fd);
    return error;
}

int peer_reset(int fd)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
        return -errno;
    return close(fd) < 0 ? -errno : 0;
}

int peer_reset_behind(int fd)
{
    int rc = peer_await_acked(fd);

    return rc == 0 ? peer_reset(fd) : rc;
}

static void *sender_run(void *argument)
{
    struct sender *sender = argument;
    uint64_t random = sender->tag, offset = 0;
    uint8_t *buffer = malloc(sender->write_max);
    int error = 0;

    while (offset < sender->size && error == 0) {
        /* The first write holds the whole tag, so that the sink finds it in one piece. */
        uint64_t part = random_between(&random, PAYLOAD_TAG_SIZE, sender->write_max);

        if (part > sender->size - offset)
            part = sender->size - offset;
        payload_fill(sender->tag, offset, buffer, (size_t)part);
        error = peer_send(sender->fd, buffer, (size_t)part);
        offset += part;
        atomic_store(&sender->sent, offset);
    }
    free(buffer);
    if (error == 0 && shutdown(sender->fd, SHUT_WR) < 0)
        error = -errno;
    if (error == 0)
        error = peer_await_eof(sender->fd);
    close(sender->fd);
    sender->result = error;
    return NULL;
}

int sender_start(struct sender **result, int fd, uint64_t tag, uint64_t size, size_t write_max)
{
    struct sender *sender = malloc(sizeof(*sender));
    int error;

    if (!sender)
        return -ENOMEM;
    *sender = (struct sender){.fd = fd, .tag = tag, .size = size, .write_max = write_max};
    error = pthread_create(&sender->thread, NULL, sender_run, sender);
    if (error)
        free(sender);
    else
        *result = sender;
    return -error;
}

int sender_join(struct sender *sender)
{
    int error = pthread_join(sender->thread, NULL), result = sender->result;

    free(sender);
    return error ? -error : result;
}
