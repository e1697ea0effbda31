/* SPDX-License-Identifier: MIT */
/* The control connection between the two hosts of a run: a JSON object a line. Both ends are of one
 * version, and know one token. */
#ifndef CONTROL_H
#define CONTROL_H

#include "token.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>

enum { CONTROL_PORT = 1091, CONTROL_WHY_SIZE = 256, CONTROL_PATIENCE_MS = 10000 };

struct control {
    int fd;
    char *line; /* what has come and was not heard yet */
    size_t have, room;
    char why[CONTROL_WHY_SIZE];
};

/* HOST[:PORT], or where host may be left out [:PORT] too. Returns 0, or -1 with *why. */
int control_resolve(const char *text, struct sockaddr_in *address, const char **why);

/* Takes over a connection. */
void control_init(struct control *control, int fd);
void control_done(struct control *control);

/* Connects to a server, and has both prove that they know the token. Returns 0, or -1 with why;
 * control_done in any case. */
int control_open(struct control *control, const char *server, const struct token *token);

/* The other side of that. */
int control_welcome(struct control *control, const struct token *token);

/* Sends an object, which it takes over. Returns 0, or -1 with why. */
int control_say(struct control *control, json_t *object);

/* Returns the next object, which the caller owns, or NULL with why; so if it is an {"error": why}.
 */
json_t *control_hear(struct control *control, int patience_ms);

/* Says something and hears the answer to it. */
json_t *control_ask(struct control *control, json_t *object, int patience_ms);

/* Keeps why. Returns -1. */
int control_fail(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
