/* SPDX-License-Identifier: MIT */
#include "letters.h"

#include "clock.h"
#include "life.h"
#include "sized.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a list of streams ----------------------------------------------------------------------- */

static const struct lb_layout info_layout = {
    .name = "struct lb_stream_info",
    .first = LB_FIRST_LAYOUT(struct lb_stream_info, peer),
    .known = sizeof(struct lb_stream_info),
};

static void add_stream(struct lb_list *list, const struct lb_stream *stream, uint64_t now_ns)
{
    struct lb_stream_info info = {
        LB_STREAM_INFO_INIT,
        .id = lb_stream_number(stream),
        .bytes = lb_stream_bytes(stream),
        .age_ms = (now_ns - stream->begun_ns) / LB_NS_PER_MS,
        .state = lb_stream_state_name(stream),
    };

    if (list->count < list->room) {
        void *theirs = list->infos + list->count * list->each;

        lb_stream_peer(stream, info.peer);
        *(size_t *)theirs = list->each;
        lb_sized_give(&info_layout, theirs, &info);
    }
    list->count++;
}

void lb_list_add(struct lb_list *list, const struct lb_stream_table *streams)
{
    uint64_t now_ns = lb_clock_ns();

    pthread_mutex_lock(&list->lock);
    for (const struct lb_stream *stream = streams ? streams->live : NULL; stream;
         stream = stream->next)
        add_stream(list, stream, now_ns);
    if (--list->awaited == 0)
        pthread_cond_signal(&list->told);
    pthread_mutex_unlock(&list->lock);
}

/* ---- letters --------------------------------------------------------------------------------- */

/* Each is the first member of what it is of. */
static struct lb_adopted *adopted_of(struct lb_letter *letter)
{
    return (struct lb_adopted *)(void *)letter;
}

static struct lb_list *list_of(struct lb_letter *letter)
{
    return ((struct lb_listing *)(void *)letter)->list;
}

static struct lb_stream *find(const struct lb_lane *lane, const struct lb_letter *letter)
{
    return lb_stream_table_find(lane->streams, ((const struct lb_call *)(const void *)letter)->id);
}

static void wake(struct lb_lane *lane, const struct lb_letter *letter)
{
    struct lb_stream *stream = find(lane, letter);

    lane->woken = true;
    if (stream && stream->id)
        lb_life_wake(stream);
}

static void end(struct lb_entrance *entrance, const struct lb_letter *letter)
{
    static const struct lb_verdict stopped = {.end = LB_END_STOPPED};
    struct lb_stream *stream = find(entrance->lane, letter);

    if (stream && !stream->id)
        lb_entrance_end(entrance, stream);
    else if (stream)
        lb_life_stop(stream, &stopped);
}

static void open_letter(struct lb_entrance *entrance, struct lb_letter *letter)
{
    struct lb_lane *lane = entrance->lane;

    switch (letter->kind) {
    case LB_LETTER_COMMITTED:
        lb_life_committed(LB_STREAM_OF(letter, letter));
        return;
    case LB_LETTER_LIST:
        lb_list_add(list_of(letter), lane->streams);
        return;
    case LB_LETTER_ADOPTED:
        lb_entrance_take(entrance, &adopted_of(letter)->arrival);
        break;
    case LB_LETTER_WAKE:
        wake(lane, letter);
        break;
    case LB_LETTER_END:
        end(entrance, letter);
        break;
    }
    free(letter);
}

void lb_letters_open(struct lb_entrance *entrance, struct lb_letter *letters)
{
    struct lb_letter *next;

    for (struct lb_letter *letter = letters; letter; letter = next) {
        next = letter->next;
        open_letter(entrance, letter);
    }
}

static void drop_letter(struct lb_letter *letter)
{
    if (letter->kind == LB_LETTER_LIST) {
        lb_list_add(list_of(letter), NULL);
        return;
    }
    if (letter->kind == LB_LETTER_ADOPTED) {
        close(adopted_of(letter)->arrival.fd);
        free(adopted_of(letter)->arrival.first);
    }
    free(letter); /* no stream is left to be committed */
}

void lb_letters_drop(struct lb_inbox *inbox)
{
    struct lb_letter *letter, *next;

    while ((letter = lb_inbox_shut(inbox)))
        for (; letter; letter = next) {
            next = letter->next;
            drop_letter(letter);
        }
}
