/* SPDX-License-Identifier: MIT */
#include "inbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int lb_inbox_open(struct lb_inbox *inbox)
{
    *inbox = (struct lb_inbox){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&inbox->lock, NULL);
    return inbox->wake_fd < 0 ? -errno : 0;
}

void lb_inbox_close(struct lb_inbox *inbox)
{
    if (inbox->wake_fd >= 0)
        close(inbox->wake_fd);
    inbox->wake_fd = -1;
    pthread_mutex_destroy(&inbox->lock);
}

void lb_inbox_wake(const struct lb_inbox *inbox)
{
    const uint64_t one = 1;
    int saved = errno;

    /* EAGAIN would mean that it is awake many times over. */
    (void)!write(inbox->wake_fd, &one, sizeof(one));
    errno = saved;
}

bool lb_inbox_post(struct lb_inbox *inbox, struct lb_letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    if (inbox->shut) {
        pthread_mutex_unlock(&inbox->lock);
        return false;
    }
    if (inbox->first)
        inbox->last->next = letter;
    else
        inbox->first = letter;
    inbox->last = letter;
    /* Under the lock: once the lane has seen its last letter it may end, and close the descriptor. */
    lb_inbox_wake(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return true;
}

static struct lb_letter *take(struct lb_inbox *inbox, bool shut)
{
    struct lb_letter *letters;
    uint64_t count;

    (void)!read(inbox->wake_fd, &count, sizeof(count));
    pthread_mutex_lock(&inbox->lock);
    letters = inbox->first;
    inbox->first = inbox->last = NULL;
    inbox->shut = shut && !letters;
    pthread_mutex_unlock(&inbox->lock);
    return letters;
}

struct lb_letter *lb_inbox_take(struct lb_inbox *inbox)
{
    return take(inbox, false);
}

struct lb_letter *lb_inbox_shut(struct lb_inbox *inbox)
{
    return take(inbox, true);
}
