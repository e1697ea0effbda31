/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include "console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool lost;

bool answer_lost(void)
{
    return lost;
}

static void lose(const char *what, int error)
{
    if (!atomic_exchange(&lost, true))
        console_tell("%s: %s; the rest of the answers is dropped", what, strerror(error));
}

static int write_all(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDOUT_FILENO, data, size);

        if (done >= 0) {
            data += done;
            size -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd room = {STDOUT_FILENO, POLLOUT, 0};

            poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static void pass_on(void *context, const char *data, size_t size)
{
    struct answer *answer = context;

    if (lost)
        return;
    if (!answer->hold) {
        console_wipe();
        int error = write_all(data, size);
        if (error)
            lose("standard output", -error);
        return;
    }
    if (!answer->held)
        answer->held = tmpfile();
    if (!answer->held || fwrite(data, 1, size, answer->held) != size)
        lose("temporary file of an answer", errno);
}

void answer_write(struct answer *answer, const void *data, size_t size)
{
    if (answer->receipt)
        receipt_line_take(&answer->last, data, size, pass_on, answer);
    else
        pass_on(answer, data, size);
}

bool answer_receipt(struct answer *answer, struct receipt *receipt)
{
    struct receipt_line *last = &answer->last;
    bool come = receipt_read(receipt, last->text, last->size) == 0;

    if (!come && last->size > 0)
        pass_on(answer, last->text, last->size);
    *last = (struct receipt_line){0};
    return come;
}

void answer_finish(struct answer *answer)
{
    char block[16384];
    size_t size;
    int error = 0;

    if (!answer->held)
        return;
    pthread_mutex_lock(&lock);
    console_wipe();
    rewind(answer->held);
    while (!lost && (size = fread(block, 1, sizeof(block), answer->held)) > 0) {
        error = write_all(block, size);
        if (error)
            lose("standard output", -error);
    }
    if (!lost && ferror(answer->held))
        lose("temporary file of an answer", EIO);
    pthread_mutex_unlock(&lock);
    answer_drop(answer);
}

void answer_drop(struct answer *answer)
{
    if (answer->held)
        fclose(answer->held);
    answer->held = NULL;
}
