/* SPDX-License-Identifier: MIT */
#ifndef HARDEN_H
#define HARDEN_H

#include <lastbyte/lastbyte.h>

#include <stdbool.h>

/* What takes from the process of recv, once everything is open, what it no longer needs. */

enum harden_part {
    HARDEN_NO_NEW_PRIVS,
    HARDEN_NO_DUMP,
    HARDEN_LANDLOCK,
    HARDEN_SECCOMP,
    HARDEN_URING,
    HARDEN_PARTS
};

struct harden {
    bool off[HARDEN_PARTS]; /* by --no-harden */
    const struct lb_sink *sink;
    void *sink_context;
    const char *const *listen;
    const char *metrics;       /* one more address to listen on, or NULL */
    const char *const *reread; /* files that may be read again once they have changed, to NULL */
    const char *backend;       /* the chosen one */

    int rules_fd;                      /* of Landlock, or -errno */
    const char *missing[HARDEN_PARTS]; /* why it is not in force, or NULL */
};

/* Reads the value of --no-harden, NULL if it was not given, into off. Returns an exit status after
 * telling what is wrong. */
int harden_read(bool off[HARDEN_PARTS], const char *list);

/* What may stand in the list of --no-harden: see option_values. */
bool harden_describe(size_t index, struct lb_description *part);

/* Appends what would be in force here to probe. */
void harden_probe(struct lb_probe *probe);

/* Opens what the rest needs, as the user that started the process. The others are
 * set: off, sink, sink_context, listen, metrics, reread, backend. */
void harden_prepare(struct harden *harden);

/* From now on no program that is started can gain rights, and nobody looks into this process's
 * memory, unless that is off; before the sink is checked, so that what it has started can do the
 * same. */
void harden_begin(struct harden *harden);

/* Puts the rest of what can be into force, and keeps why the rest can't; while there is one thread,
 * before the engine's start, and after what needs privileges. */
void harden_enforce(struct harden *harden);

/* Tells what is in force and what is not, and why. */
void harden_tell(const struct harden *harden);

void harden_done(struct harden *harden);

#endif
