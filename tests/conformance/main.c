/* SPDX-License-Identifier: MIT */
/* conformance BACKEND FAMILY [PATTERN] [--no-gathering|--own-loop]: the cases whose names match
 * PATTERN, a shell wildcard. */
#include "suite.h"

#include <fnmatch.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_SKIP = 77, FDS_WANTED = 8192, CASES_MAX = 256 };

struct suite suite;

static bool parse_family(const char *name)
{
    static const struct {
        const char *name;
        enum family family;
    } families[] = {{"tcp4", FAMILY_TCP4}, {"tcp6", FAMILY_TCP6}, {"unix", FAMILY_UNIX}};

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strcmp(name, families[i].name) == 0) {
            suite.family = families[i].family;
            return true;
        }
    }
    return false;
}

/* 0 to go on, else the status to exit with. */
static int check_backend(void)
{
    struct lb_probe probe = {LB_PROBE_INIT};
    const char *required = getenv("LASTBYTE_REQUIRE_URING");

    lb_probe(&probe);
    for (size_t i = 0; i < probe.backends; i++) {
        if (strcmp(probe.features[i].name, suite.backend) != 0)
            continue;
        if (probe.features[i].usable)
            return 0;
        fprintf(stderr, "%s is not usable here: %s\n", suite.backend, probe.features[i].why);
        if (strcmp(suite.backend, "uring") != 0)
            return EXIT_FAILURE; /* nothing forbids the others */
        return required && strcmp(required, "1") == 0 ? EXIT_FAILURE : EXIT_SKIP;
    }
    fprintf(stderr, "'%s' is no backend\n", suite.backend);
    return EXIT_USAGE;
}

/* Without a library's help: is there an IPv6 loopback? */
static bool have_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    if (fd >= 0)
        close(fd);
    return bound;
}

static size_t choose_cases(struct CMUnitTest *tests, const char *pattern)
{
    size_t count = 0;

    for (size_t i = 0; suite_tables[i]; i++) {
        for (const struct test_case *one = suite_tables[i]; one->name; one++) {
            if (!(one->families & suite.family) || fnmatch(pattern, one->name, 0) != 0 ||
                suite_leaves_out(one->name))
                continue;
            if (count == CASES_MAX)
                abort();
            tests[count++] = (struct CMUnitTest){.name = one->name,
                                                 .test_func = one->run,
                                                 .setup_func = server_setup,
                                                 .teardown_func = server_teardown,
                                                 .initial_state = (void *)(uintptr_t)one};
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[CASES_MAX];
    size_t count, fds;
    int status;

    suite.no_gathering = argc > 1 && strcmp(argv[argc - 1], "--no-gathering") == 0;
    suite.own_loop = argc > 1 && strcmp(argv[argc - 1], "--own-loop") == 0;
    argc -= suite.no_gathering || suite.own_loop;
    if (argc < 3 || argc > 4 || !parse_family(argv[2])) {
        fprintf(stderr,
                "usage: %s uring|epoll|blocking tcp4|tcp6|unix [PATTERN] "
                "[--no-gathering|--own-loop]\n",
                argv[0]);
        return EXIT_USAGE;
    }
    suite.backend = argv[1];
    status = check_backend();
    if (status)
        return status;
    if (suite.family == FAMILY_TCP6 && !have_ipv6()) {
        fprintf(stderr, "there is no IPv6 loopback here\n");
        return EXIT_SKIP;
    }
    count = choose_cases(tests, argc > 3 ? argv[3] : "*");
    if (count == 0) {
        fprintf(stderr, "no case for %s matches '%s'\n", argv[2], argv[3]);
        return EXIT_USAGE;
    }
    if (scale_small())
        fprintf(stderr, "LASTBYTE_TEST_SCALE=small: no stream over 4 GiB, fewer repetitions\n");
    fds = process_raise_fd_limit(FDS_WANTED);
    if (fds < 2500) {
        fprintf(stderr, "the cases need 2500 descriptors, the limit is %zu\n", fds);
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_DFL); /* so that a signal which the library lets through is seen */
    if (directory_make(suite.directory, sizeof(suite.directory))) {
        fprintf(stderr, "no temporary directory\n");
        return EXIT_FAILURE;
    }
    watchdog_start();
    status = _cmocka_run_group_tests(argv[1], tests, count, NULL, NULL);
    directory_remove(suite.directory);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
