/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (!fixture || directory_make(fixture->directory, sizeof(fixture->directory)) < 0)
        return -1;
    fixture->fds = process_count_fds();
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    unsigned fds = process_count_fds();

    directory_remove(fixture->directory);
    if (fds != fixture->fds)
        print_error("%u descriptors open before, %u after\n", fixture->fds, fds);
    fds -= fixture->fds;
    free(fixture);
    return fds == 0 ? 0 : -1;
}

const char *path_in(const struct fixture *fixture, const char *name)
{
    static char paths[4][700];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", fixture->directory, name);
    return path;
}

struct opened sink_open(const struct lb_sink_options *options, const char *format, ...)
{
    struct opened opened = {0};
    struct lb_error error = {LB_ERROR_INIT};
    char specification[1000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(specification, sizeof(specification), format, arguments);
    va_end(arguments);
    if (lb_sink_open(&opened.sink, &opened.context, specification, options, &error) < 0)
        fail_msg("%s", error.text);
    return opened;
}

void sink_close(const struct opened *opened)
{
    lb_sink_close(opened->sink, opened->context);
}

void expect_refused(const struct lb_sink_options *options, int code, const char *specification,
                    const char *const *words)
{
    const struct lb_sink *sink;
    struct lb_error error = {LB_ERROR_INIT};
    void *context;

    assert_int_equal(code, lb_sink_open(&sink, &context, specification, options, &error));
    assert_int_equal(code, error.code);
    assert_null(strchr(error.text, '\n'));
    for (; *words; words++)
        if (!strstr(error.text, *words))
            fail_msg("\"%s\" does not say \"%s\"", error.text, *words);
    assert_int_equal(code, lb_sink_open(&sink, &context, specification, options, NULL));
}

/* small: with a receive buffer that 64 KiB and more do not fit in. */
static void connect_pair(int *ours, int *theirs, bool small)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[64];

    if (small)
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){8 * KIB}, sizeof(int));
    assert_return_code(bind(listener, (struct sockaddr *)&address, size), errno);
    assert_return_code(listen(listener, 1), errno);
    assert_return_code(getsockname(listener, (struct sockaddr *)&address, &size), errno);
    snprintf(name, sizeof(name), "127.0.0.1:%d", ntohs(address.sin_port));
    *theirs = peer_connect(name);
    assert_return_code(*theirs, -*theirs);
    *ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(*ours, errno);
    close(listener);
}

static int hear(struct exchange *exchange)
{
    size_t capacity = 0;

    for (;;) {
        ssize_t got;

        if (exchange->reply_size == capacity) {
            uint8_t *larger = realloc(exchange->reply, capacity + MIB);

            if (!larger)
                return -ENOMEM;
            exchange->reply = larger;
            capacity += MIB;
        }
        got = recv(exchange->fd, exchange->reply + exchange->reply_size,
                   capacity - exchange->reply_size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        exchange->reply_size += (size_t)got;
    }
}

static int act(struct exchange *exchange)
{
    int rc = peer_send(exchange->fd, exchange->data, exchange->size);

    if (rc == 0 && exchange->before_end)
        rc = exchange->before_end(exchange);
    if (rc == 0 && exchange->reset) {
        /* What is on its way must arrive, so that the sink has had it before the end. */
        rc = peer_await_acked(exchange->fd);
        peer_reset(exchange->fd);
        return rc;
    }
    if (rc == 0 && shutdown(exchange->fd, SHUT_WR) < 0)
        rc = -errno;
    if (rc == 0 && exchange->late)
        rc = await_full(exchange->receiver_fd);
    while (exchange->after_end && sem_wait(&exchange->ended) < 0)
        ;
    if (rc == 0 && !exchange->deaf)
        rc = hear(exchange);
    close(exchange->fd);
    return rc;
}

static void *run_peer(void *argument)
{
    struct exchange *exchange = argument;

    exchange->result = act(exchange);
    return NULL;
}

enum lb_end exchange_run(struct exchange *exchange, const struct opened *opened)
{
    pthread_t thread;
    int rc;

    exchange->end = LB_END_COUNT;
    assert_return_code(sem_init(&exchange->ended, 0, 0), errno);
    connect_pair(&exchange->receiver_fd, &exchange->fd, exchange->reset);
    if (exchange->after_end)
        setsockopt(exchange->receiver_fd, SOL_SOCKET, SO_SNDBUF, &(int){8 * KIB}, sizeof(int));
    assert_int_equal(0, peer_name(exchange->fd, exchange->peer, sizeof(exchange->peer)));
    assert_int_equal(0, pthread_create(&thread, NULL, run_peer, exchange));
    if (exchange->fds_left)
        limit_fds(exchange->fds_left);
    rc = lb_receive_fd(exchange->receiver_fd, opened->sink, opened->context, &exchange->end);
    if (exchange->fds_left)
        unlimit_fds();
    close(exchange->receiver_fd);
    sem_post(&exchange->ended);
    assert_int_equal(0, pthread_join(thread, NULL));
    sem_destroy(&exchange->ended);
    assert_int_equal(rc < 0, exchange->end == LB_END_COUNT);
    return exchange->end;
}

void exchange_free(struct exchange *exchange)
{
    free(exchange->reply);
}

static enum lb_end send_only(const struct opened *opened, const void *data, size_t size, bool reset)
{
    struct exchange exchange = {.data = data, .size = size, .reset = reset};

    exchange_run(&exchange, opened);
    assert_int_equal(0, exchange.reply_size);
    if (exchange.end == LB_END_EOF)
        assert_int_equal(0, exchange.result);
    exchange_free(&exchange);
    return exchange.end;
}

enum lb_end send_bytes(const struct opened *opened, const void *data, size_t size)
{
    return send_only(opened, data, size, false);
}

enum lb_end send_bytes_and_reset(const struct opened *opened, const void *data, size_t size)
{
    return send_only(opened, data, size, true);
}

uint8_t *payload_make(uint64_t tag, size_t size)
{
    uint8_t *payload = malloc(size ? size : 1);

    assert_non_null(payload);
    payload_fill(tag, 0, payload, size);
    return payload;
}

int output_make(void)
{
    int fd = memfd_create("output", MFD_CLOEXEC);

    assert_return_code(fd, errno);
    return fd;
}

void expect_output(int fd, const void *data, size_t size)
{
    struct stat status;
    uint8_t *found;

    assert_return_code(fstat(fd, &status), errno);
    assert_int_equal(size, status.st_size);
    found = malloc(size + 1);
    assert_non_null(found);
    assert_int_equal(size, pread(fd, found, size, 0));
    assert_true(size == 0 || memcmp(found, data, size) == 0);
    free(found);
    close(fd);
}

void expect_file(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    expect_output(fd, data, size);
}

void file_write(const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_return_code(fd, errno);
    assert_int_equal(size, write(fd, data, size));
    close(fd);
}

bool file_exists(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

int await_full(int fd)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    struct pollfd poller = {.fd = fd, .events = POLLOUT};

    while (poll(&poller, 1, 0) != 0) {
        if (time_now_ns() > deadline)
            return -ETIMEDOUT;
        time_nap();
    }
    return 0;
}

int await_file(const char *path)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;

    while (!file_exists(path)) {
        if (time_now_ns() > deadline)
            return -ETIMEDOUT;
        time_nap();
    }
    return 0;
}

unsigned count_names(const struct fixture *fixture, const char *suffix, char *name, size_t size)
{
    DIR *directory = opendir(fixture->directory);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        size_t length = strlen(entry->d_name);
        size_t end = strlen(suffix);

        if (entry->d_name[0] == '.' || length < end ||
            strcmp(entry->d_name + length - end, suffix) != 0)
            continue;
        count++;
        if (name)
            snprintf(name, size, "%s", entry->d_name);
    }
    closedir(directory);
    return count;
}

static void limit(__rlimit_resource_t resource, rlim_t value)
{
    struct rlimit limit;

    assert_return_code(getrlimit(resource, &limit), errno);
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    assert_return_code(setrlimit(resource, &limit), errno);
}

void limit_files(uint64_t size)
{
    limit(RLIMIT_FSIZE, size);
}

void unlimit_files(void)
{
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
}

static rlim_t usual_fds;

void limit_fds(unsigned left)
{
    struct rlimit now;
    int lowest;

    assert_return_code(getrlimit(RLIMIT_NOFILE, &now), errno);
    usual_fds = now.rlim_cur;
    lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    assert_return_code(lowest, errno);
    close(lowest);
    limit(RLIMIT_NOFILE, (rlim_t)lowest + left);
}

void unlimit_fds(void)
{
    limit(RLIMIT_NOFILE, usual_fds);
}

void powers_drop(void)
{
    if (geteuid() == 0)
        assert_return_code(seteuid(65534), errno);
}

void powers_regain(void)
{
    if (getuid() == 0)
        assert_return_code(seteuid(0), errno);
}

bool kernel_grow_old(void)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_copy_file_range, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 3, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
    };
    const struct sock_fprog program = {sizeof(refuse) / sizeof(refuse[0]), refuse};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           copy_file_range(-1, NULL, -1, NULL, 1, 0) < 0 && errno == ENOSYS;
}

bool names_forget(void)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {sizeof(refuse) / sizeof(refuse[0]), refuse};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int await_receiving(const struct fixture *fixture)
{
    const uint64_t deadline = time_now_ns() + (uint64_t)patience_ms() * 1000000;
    struct stat status = {0};
    char name[300];

    while (count_names(fixture, ".receiving", name, sizeof(name)) == 0 ||
           stat(path_in(fixture, name), &status) < 0 || status.st_size == 0) {
        if (time_now_ns() > deadline)
            return -ETIMEDOUT;
        time_nap();
    }
    return 0;
}
