/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The stream's state: seven words that must stay as the sink left them. */
struct note {
    struct ledger_entry *entry;
    uint64_t seal[6];
};

static uint64_t seal_word(const struct ledger_entry *entry, size_t index)
{
    return (uintptr_t)entry * 31 + index;
}

void ledger_complain(struct ledger *ledger, const char *format, ...)
{
    char why[sizeof(ledger->why)];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&ledger->mutex);
    if (!atomic_load(&ledger->broken)) {
        memcpy(ledger->why, why, sizeof(why));
        atomic_store(&ledger->broken, true);
    }
    pthread_mutex_unlock(&ledger->mutex);
}

static void raise_most(atomic_uint *most, unsigned now)
{
    unsigned before = atomic_load(most);

    while (before < now && !atomic_compare_exchange_weak(most, &before, now))
        ;
}

/* The entry of the stream, with the checks that every call after open has in common. */
static struct ledger_entry *entry_enter(struct lb_stream *stream, void *context, const char *call)
{
    const struct note *note = lb_stream_state(stream);
    struct ledger_entry *entry = note->entry;
    struct ledger *ledger = context;

    if (!entry || entry->ledger != ledger) {
        fprintf(stderr, "%s of a stream whose state is not what open left there\n", call);
        abort();
    }
    for (size_t i = 0; i < sizeof(note->seal) / sizeof(note->seal[0]); i++) {
        if (note->seal[i] != seal_word(entry, i))
            ledger_complain(ledger, "%s: stream %" PRIu64 " lost its state", call, entry->id);
    }
    if (atomic_exchange(&entry->busy, true))
        ledger_complain(ledger, "%s: stream %" PRIu64 " has two calls at once", call, entry->id);
    if (atomic_load(&entry->phase) != LEDGER_OPEN)
        ledger_complain(ledger, "%s: stream %" PRIu64 " is in phase %d", call, entry->id,
                        (int)atomic_load(&entry->phase));
    if (lb_stream_id(stream) != entry->id)
        ledger_complain(ledger, "%s: stream %" PRIu64 " now has the id %" PRIu64, call, entry->id,
                        lb_stream_id(stream));
    if (lb_stream_bytes(stream) != atomic_load(&entry->bytes))
        ledger_complain(ledger,
                        "%s: stream %" PRIu64 " has taken %" PRIu64 " bytes, lb_stream_bytes "
                        "says %" PRIu64,
                        call, entry->id, atomic_load(&entry->bytes), lb_stream_bytes(stream));
    return entry;
}

static void check_thread(const struct ledger_entry *entry, const char *call)
{
    if (!pthread_equal(pthread_self(), entry->thread))
        ledger_complain(entry->ledger, "%s: stream %" PRIu64 " is on another thread than at open",
                        call, entry->id);
}

static void check_fresh_state(struct ledger *ledger, const struct note *note)
{
    const uint8_t *bytes = (const uint8_t *)note;

    if ((uintptr_t)note % 16 != 0)
        ledger_complain(ledger, "open: the state is not aligned to 16");
    for (size_t i = 0; i < sizeof(*note); i++) {
        if (bytes[i] != 0)
            ledger_complain(ledger, "open: the state is not zeroed");
    }
}

static void entry_close(struct ledger_entry *entry, enum ledger_phase phase)
{
    struct ledger *ledger = entry->ledger;

    if (entry->hash) {
        entry->digest = XXH3_128bits_digest(entry->hash);
        XXH3_freeState(entry->hash);
        entry->hash = NULL;
    }
    atomic_fetch_sub(&ledger->under_way, 1);
    atomic_store(&entry->phase, phase);
    atomic_fetch_add(&ledger->ended, 1);
}

static int ledger_on_open(struct lb_stream *stream, void *context)
{
    struct ledger *ledger = context;
    struct note *note = lb_stream_state(stream);
    size_t index = atomic_fetch_add(&ledger->opened, 1);
    struct ledger_entry *entry;
    int error = 0;

    if (index >= ledger->room) {
        ledger_complain(ledger, "open: more streams than the case has room for");
        return -ENOBUFS;
    }
    check_fresh_state(ledger, note);
    entry = &ledger->entries[index];
    entry->id = lb_stream_id(stream);
    entry->thread = pthread_self();
    lb_stream_peer(stream, entry->peer);
    if (!ledger->plain) {
        entry->hash = XXH3_createState();
        XXH3_128bits_reset(entry->hash);
    }
    if (lb_stream_bytes(stream) != 0)
        ledger_complain(ledger, "open: lb_stream_bytes is not 0");
    if (fcntl(lb_stream_fd(stream), F_GETFD) < 0)
        ledger_complain(ledger, "open: lb_stream_fd is no descriptor");
    note->entry = entry;
    for (size_t i = 0; i < sizeof(note->seal) / sizeof(note->seal[0]); i++)
        note->seal[i] = seal_word(entry, i);
    raise_most(&ledger->most_under_way, atomic_fetch_add(&ledger->under_way, 1) + 1);
    atomic_store(&entry->phase, LEDGER_OPEN);
    if (ledger->hooks.open)
        error = ledger->hooks.open(entry, stream);
    if (error) {
        entry->end = entry->counted_end = LB_END_SINK;
        entry_close(entry, LEDGER_REFUSED);
    }
    return error;
}

/* Chunks may be of any size, so the tag may come in parts. */
static void note_tag(struct ledger_entry *entry, const void *data, size_t size)
{
    const uint64_t at = atomic_load(&entry->bytes);

    if (at >= sizeof(entry->head))
        return;
    memcpy(entry->head + at, data,
           size < sizeof(entry->head) - at ? size : sizeof(entry->head) - at);
    if (at + size < sizeof(entry->head))
        return;
    memcpy(&entry->tag, entry->head, sizeof(entry->tag));
    if (entry->tag > 0 && entry->tag < LEDGER_TAGS)
        atomic_store(&entry->ledger->tags[entry->tag], entry);
}

static ssize_t ledger_on_write(struct lb_stream *stream, void *context, const void *data,
                               size_t size)
{
    struct ledger_entry *entry = entry_enter(stream, context, "write");
    struct ledger *ledger = context;
    ssize_t taken = (ssize_t)size;

    check_thread(entry, "write");
    if (size == 0)
        ledger_complain(ledger, "write: stream %" PRIu64 " is offered 0 bytes", entry->id);
    if (atomic_load(&entry->end_calls) > 0)
        ledger_complain(ledger, "write: stream %" PRIu64 " had its end", entry->id);
    note_tag(entry, data, size);
    if (ledger->hooks.write)
        taken = ledger->hooks.write(entry, stream, data, size);
    if (taken > 0) {
        if (entry->hash)
            XXH3_128bits_update(entry->hash, data, (size_t)taken);
        atomic_fetch_add(&entry->bytes, (uint64_t)taken);
    }
    entry->chunks++;
    atomic_store(&entry->busy, false);
    return taken;
}

static int ledger_on_ready(struct lb_stream *stream, void *context)
{
    struct ledger_entry *entry = entry_enter(stream, context, "ready");
    struct ledger *ledger = context;
    int error = 0;

    check_thread(entry, "ready");
    if (ledger->hooks.ready)
        error = ledger->hooks.ready(entry, stream);
    atomic_store(&entry->busy, false);
    return error;
}

static void check_end(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    struct ledger *ledger = entry->ledger;
    char peer[LB_PEER_SIZE];

    if ((unsigned)end >= LB_END_COUNT)
        ledger_complain(ledger, "end: %d is no end", (int)end);
    if (atomic_load(&entry->end_calls) > 0 && entry->end != end && end != LB_END_STOPPED &&
        !(end == LB_END_TIMEOUT && entry->end == LB_END_EOF))
        ledger_complain(ledger, "end: stream %" PRIu64 " ends as %s after %s", entry->id,
                        lb_end_name(end), lb_end_name(entry->end));
    if (strcmp(lb_stream_peer(stream, peer), entry->peer) != 0)
        ledger_complain(ledger, "end: stream %" PRIu64 " was from %s, now from %s", entry->id,
                        entry->peer, peer);
    if (fcntl(lb_stream_fd(stream), F_GETFD) < 0)
        ledger_complain(ledger, "end: lb_stream_fd of stream %" PRIu64 " is closed", entry->id);
    if (ledger->slow_end == (bool)pthread_equal(pthread_self(), entry->thread))
        ledger_complain(ledger, "end: stream %" PRIu64 " is on the wrong thread", entry->id);
}

static int ledger_on_end(struct lb_stream *stream, void *context, enum lb_end end)
{
    struct ledger_entry *entry = entry_enter(stream, context, "end");
    struct ledger *ledger = context;
    int error = 0;

    raise_most(&ledger->most_ends_under_way, atomic_fetch_add(&ledger->ends_under_way, 1) + 1);
    check_end(entry, stream, end);
    entry->end = end;
    entry->why = lb_stream_why(stream);
    atomic_fetch_add(&entry->end_calls, 1);
    if (ledger->hooks.end)
        error = ledger->hooks.end(entry, stream, end);
    atomic_fetch_sub(&ledger->ends_under_way, 1);
    if (error != -EINPROGRESS)
        ledger_unwatch_gate(entry, stream);
    atomic_store(&entry->busy, false);
    if (error != -EINPROGRESS) {
        entry->counted_end = error < 0 && end == LB_END_EOF ? LB_END_SINK : end;
        entry_close(entry, LEDGER_ENDED);
    }
    return error;
}

const struct lb_sink ledger_sink = {
    LB_SINK_INIT,           .name = "ledger",         .state_size = sizeof(struct note),
    .open = ledger_on_open, .write = ledger_on_write, .ready = ledger_on_ready,
    .end = ledger_on_end,
};

int ledger_init(struct ledger *ledger)
{
    pthread_mutex_init(&ledger->mutex, NULL);
    return gate_init(&ledger->gate);
}

static void drop_entries(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->room; i++) {
        if (ledger->entries[i].hash)
            XXH3_freeState(ledger->entries[i].hash);
    }
    free(ledger->entries);
    ledger->entries = NULL;
    ledger->room = 0;
}

int ledger_reserve(struct ledger *ledger, size_t room)
{
    drop_entries(ledger); /* of the server before this one, if the case had one */
    ledger->entries = calloc(room, sizeof(*ledger->entries));
    if (!ledger->entries)
        return -ENOMEM;
    ledger->room = room;
    atomic_store(&ledger->opened, 0);
    atomic_store(&ledger->ended, 0);
    memset(ledger->tags, 0, sizeof(ledger->tags));
    for (size_t i = 0; i < room; i++) {
        ledger->entries[i].ledger = ledger;
        ledger->entries[i].watched = -1;
    }
    return 0;
}

void ledger_done(struct ledger *ledger)
{
    drop_entries(ledger);
    gate_done(&ledger->gate);
    pthread_mutex_destroy(&ledger->mutex);
}

struct ledger_entry *ledger_find(struct ledger *ledger, uint64_t tag)
{
    return atomic_load(&ledger->tags[tag]);
}

int ledger_watch_gate(struct ledger_entry *entry, struct lb_stream *stream)
{
    if (entry->watched < 0)
        entry->watched = fcntl(entry->ledger->gate.fd, F_DUPFD_CLOEXEC, 0);
    if (entry->watched < 0)
        return -errno;
    return lb_stream_watch(stream, entry->watched, POLLIN);
}

void ledger_unwatch_gate(struct ledger_entry *entry, struct lb_stream *stream)
{
    int error;

    if (entry->watched < 0)
        return;
    error = lb_stream_watch(stream, entry->watched, 0);
    /* An end that may block can't: a call that comes late finds no stream. */
    if (error && error != -EBUSY)
        ledger_complain(entry->ledger, "withdrawing a watch: %s", strerror(-error));
    close(entry->watched);
    entry->watched = -1;
}

int ledger_end_never(struct ledger_entry *entry, struct lb_stream *stream, enum lb_end end)
{
    int error;

    if (end != LB_END_EOF)
        return 0;
    error = ledger_watch_gate(entry, stream);
    return error ? error : -EINPROGRESS;
}
