/* SPDX-License-Identifier: MIT */
#include "resolver.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

/* Belongs to who asks and to the thread that asks for him; who leaves last frees it. */
struct question {
    struct lb_address address;
    int family;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool answered, abandoned;
    int rc; /* once answered, with list or error */
    struct addrinfo *list;
    struct lb_error error;
};

static void release(struct question *question)
{
    pthread_cond_destroy(&question->changed);
    pthread_mutex_destroy(&question->lock);
    free(question);
}

static void *ask(void *argument)
{
    struct question *question = argument;
    int rc =
        lb_address_ask(&question->address, question->family, 0, &question->list, &question->error);

    pthread_mutex_lock(&question->lock);
    bool abandoned = question->abandoned;
    question->answered = true;
    question->rc = rc;
    pthread_cond_signal(&question->changed);
    pthread_mutex_unlock(&question->lock);
    if (abandoned) {
        if (rc == 0)
            freeaddrinfo(question->list);
        release(question);
    }
    return NULL;
}

static struct question *make_question(const struct lb_address *address, int family)
{
    struct question *question = calloc(1, sizeof(*question));
    pthread_condattr_t monotonic;

    if (!question)
        return NULL;
    question->address = *address;
    question->family = family;
    question->error = (struct lb_error){LB_ERROR_INIT};
    pthread_mutex_init(&question->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&question->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return question;
}

/* The program's signals are for its own threads. */
static int start(struct question *question)
{
    pthread_attr_t detached;
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, ask, question);
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

/* Waits for the answer; takes it, or leaves. */
static int await_answer(struct question *question, uint64_t deadline_ns, struct addrinfo **list,
                        struct lb_error *error)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / LB_NS_PER_S),
                                      .tv_nsec = (long)(deadline_ns % LB_NS_PER_S)};
    int rc = 0;

    pthread_mutex_lock(&question->lock);
    while (!question->answered && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&question->changed, &question->lock, &deadline);
    bool answered = question->answered;
    question->abandoned = !answered;
    if (!answered)
        rc = lb_error_set(error, -ETIMEDOUT, "%s: the resolver doesn't answer",
                          question->address.host);
    pthread_mutex_unlock(&question->lock);
    if (!answered)
        return rc;
    rc = question->rc;
    if (rc == 0)
        *list = question->list;
    else
        lb_error_set(error, rc, "%s", question->error.text);
    release(question);
    return rc;
}

int lb_resolve(const struct lb_address *address, int family, uint64_t deadline_ns,
               struct addrinfo **list, struct lb_error *error)
{
    if (!deadline_ns || !address->host[0])
        return lb_address_ask(address, family, 0, list, error);
    if (lb_address_ask(address, family, AI_NUMERICHOST, list, NULL) == 0)
        return 0;
    struct question *question = make_question(address, family);
    int rc = question ? start(question) : -ENOMEM;

    if (rc < 0) {
        if (question)
            release(question);
        return lb_error_set(error, rc, "%s: the resolver can't be asked in time: no thread",
                            address->host);
    }
    return await_answer(question, deadline_ns, list, error);
}
