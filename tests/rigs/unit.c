/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_PATIENCE_S = 60 };

bool has_assertions(void)
{
#ifdef NDEBUG
    return false;
#else
    return true;
#endif
}

bool has_address_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

static void be_quiet(void)
{
    const struct rlimit none = {0};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    setrlimit(RLIMIT_CORE, &none);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
}

enum child_fate child_run(void (*work)(void *argument), void *argument)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        be_quiet();
        alarm(CHILD_PATIENCE_S);
        work(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CHILD_RETURNED;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        return CHILD_ASSERTED;
    return WIFEXITED(status) && has_address_sanitizer() ? CHILD_POISONED : CHILD_OTHER;
}

void assert_misuse(void (*work)(void *argument), void *argument)
{
    if (has_assertions())
        assert_int_equal(child_run(work, argument), CHILD_ASSERTED);
}
