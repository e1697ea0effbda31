/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include "clock.h"
#include "control.h"
#include "core.h"
#include "facts.h"
#include "payload.h"
#include "plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IDLE_MS = 60000, TIMEOUT_S = 3600, BACKLOG = 16 };

/* ---- sending --------------------------------------------------------------------------------- */

/* In a process of its own, as everywhere in these benchmarks. */
static void send_and_exit(const struct plan *plan, struct sender_report *report)
{
    struct sender sender;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(TIMEOUT_S);
    if (sender_init(&sender, &plan->trial, report, plan->to) < 0)
        _exit(1);
    sender.clock_ahead_ns = plan->ahead_ns;
    _exit(sender_run(&sender) == 0 ? 0 : 1);
}

/* Waits for the sender's end. If the host that asked goes meanwhile, there is nobody to send for.
 */
static int await_sender(struct control *control, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0), status = -1;
    struct pollfd fds[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = control->fd, .events = POLLIN | POLLRDHUP},
    };

    while (fd >= 0 && poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fd < 0 || !fds[0].revents)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (fd >= 0)
        close(fd);
    return status;
}

static json_t *send_plan(struct control *control, const struct plan *plan,
                         const struct interface *interface, struct sender_report *report)
{
    struct losses before, after;
    struct machine_time machine;
    int status;
    pid_t pid;

    losses_read(&before, interface);
    machine_time_read(&report->machine, plan->trial.cores);
    machine = report->machine;
    pid = fork();
    if (pid == 0)
        send_and_exit(plan, report);
    status = pid < 0 ? -1 : await_sender(control, pid);
    if (status != 0 && !report->why[0])
        snprintf(report->why, sizeof(report->why), "the sender's process failed");
    machine_time_read(&machine, plan->trial.cores);
    losses_read(&after, interface);
    return report_write(report, &machine, &before, &after);
}

static json_t *do_send(struct control *control, const json_t *request,
                       const struct interface *interface, int core)
{
    struct sender_report *report =
        mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *why = "out of memory";
    struct plan plan;
    json_t *answer;

    if (report == MAP_FAILED)
        return json_pack("{s:s}", "error", why);
    if (plan_read(&plan, json_object_get(request, "plan"), core, &why) < 0)
        answer = json_pack("{s:s}", "error", why);
    else
        answer = send_plan(control, &plan, interface, report);
    munmap(report, sizeof(*report));
    return answer;
}

/* ---- one host after the other ---------------------------------------------------------------- */

static json_t *answer(struct control *control, const json_t *request,
                      const struct interface *interface, int core)
{
    const char *word = "";

    json_unpack((json_t *)request, "{s:s}", "do", &word);
    if (strcmp(word, "clock") == 0)
        return json_pack("{s:I}", "clock_ns", (json_int_t)clock_now());
    if (strcmp(word, "facts") == 0)
        return facts_gather(interface);
    if (strcmp(word, "send") == 0)
        return do_send(control, request, interface, core);
    return json_pack("{s:s}", "error", "nothing that this host does");
}

static void serve_host(int fd, const struct token *token, int core)
{
    struct interface interface;
    struct control control;
    json_t *request;
    int rc;

    control_init(&control, fd);
    interface_of(fd, &interface);
    rc = control_welcome(&control, token);
    if (rc < 0)
        fprintf(stderr, "refused: %s\n", control.why);
    while (rc == 0 && (request = control_hear(&control, IDLE_MS))) {
        rc = control_say(&control, answer(&control, request, &interface, core));
        json_decref(request);
    }
    control_done(&control);
}

static int start_listening(const char *text)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    const char *why = NULL;
    char host[INET_ADDRSTRLEN];
    int fd, on = 1;

    if (control_resolve(text, &address, &why) < 0) {
        fprintf(stderr, "--server=%s: %s\n", text, why);
        return -1;
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        fprintf(stderr, "--server=%s: %s\n", text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
    fprintf(stderr, "listening on %s:%u\n", host, ntohs(address.sin_port));
    return fd;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int serve(const char *address, const char *token_file, int core)
{
    struct token token;
    int listener;

    if (token_read(&token, token_file) < 0)
        return 2;
    if (core_pin(core) < 0) {
        fprintf(stderr, "--core=%d: this process can't use that core\n", core);
        return 2;
    }
    if (payload_open() < 0) {
        fputs("out of memory\n", stderr);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    listener = start_listening(address);
    if (listener < 0)
        return 2;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            serve_host(fd, &token, core);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            fprintf(stderr, "accept: %s\n", strerror(errno));
            return 1;
        }
    }
}
