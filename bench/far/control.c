/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 1 << 20, LINE_FIRST = 4096 };

int control_fail(struct control *control, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(control->why, sizeof(control->why), format, arguments);
    va_end(arguments);
    return -1;
}

int control_resolve(const char *text, struct sockaddr_in *address, const char **why)
{
    static const struct addrinfo hints = {
        .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    char host[256], port[8];
    struct addrinfo *found;
    int rc;

    snprintf(port, sizeof(port), "%d", CONTROL_PORT);
    if (size >= sizeof(host)) {
        *why = "the name is too long";
        return -1;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    rc = getaddrinfo(size ? host : NULL, colon ? colon + 1 : port, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    memcpy(address, found->ai_addr, sizeof(*address));
    freeaddrinfo(found);
    return 0;
}

void control_init(struct control *control, int fd)
{
    int on = 1;

    *control = (struct control){.fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void control_done(struct control *control)
{
    if (control->fd >= 0)
        close(control->fd);
    free(control->line);
}

/* ---- lines ----------------------------------------------------------------------------------- */

int control_say(struct control *control, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    size_t size = text ? strlen(text) : 0, sent = 0;

    json_decref(object);
    if (!text)
        return control_fail(control, "out of memory");
    text[size++] = '\n'; /* in the place of its 0 */
    while (sent < size) {
        ssize_t more = send(control->fd, text + sent, size - sent, MSG_NOSIGNAL);

        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            break;
        sent += (size_t)more;
    }
    free(text);
    return sent == size ? 0 : control_fail(control, "the connection broke: %s", strerror(errno));
}

static int make_room(struct control *control)
{
    size_t room = control->room ? 2 * control->room : LINE_FIRST;
    char *line;

    if (control->have < control->room)
        return 0;
    if (room > LINE_MAX_SIZE)
        return control_fail(control, "a line of more than 1 MiB");
    line = realloc(control->line, room);
    if (!line)
        return control_fail(control, "out of memory");
    control->line = line;
    control->room = room;
    return 0;
}

/* Receives until a line is there. Returns its size with its end, or -1 with why. */
static ssize_t await_line(struct control *control, int patience_ms)
{
    char *end;

    while (!(end = control->have ? memchr(control->line, '\n', control->have) : NULL)) {
        struct pollfd poll_fd = {.fd = control->fd, .events = POLLIN};
        ssize_t size;

        if (make_room(control) < 0)
            return -1;
        if (poll(&poll_fd, 1, patience_ms) == 0)
            return control_fail(control, "no answer for %d s", patience_ms / 1000);
        size = recv(control->fd, control->line + control->have, control->room - control->have, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return control_fail(control, "the connection broke: %s", strerror(errno));
        if (size == 0)
            return control_fail(control, "the connection was closed");
        control->have += (size_t)size;
    }
    return end + 1 - control->line;
}

json_t *control_hear(struct control *control, int patience_ms)
{
    ssize_t size = await_line(control, patience_ms);
    const char *error = NULL;
    json_t *object;

    if (size < 0)
        return NULL;
    object = json_loadb(control->line, (size_t)size, 0, NULL);
    control->have -= (size_t)size;
    memmove(control->line, control->line + size, control->have);
    if (!json_is_object(object)) {
        json_decref(object);
        control_fail(control, "what came is no JSON object: no lastbyte-load is there");
        return NULL;
    }
    if (json_unpack(object, "{s:s}", "error", &error) == 0) {
        control_fail(control, "%s", error);
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *control_ask(struct control *control, json_t *object, int patience_ms)
{
    return control_say(control, object) < 0 ? NULL : control_hear(control, patience_ms);
}

/* ---- who is there ---------------------------------------------------------------------------- */

static int refuse(struct control *control, const char *why)
{
    control_say(control, json_pack("{s:s}", "error", why));
    return control_fail(control, "%s", why);
}

int control_welcome(struct control *control, const struct token *token)
{
    char nonce[NONCE_SIZE], right[PROOF_SIZE], mine[PROOF_SIZE];
    const char *theirs, *proof;
    json_t *answer;
    int rc = -1;

    if (token_nonce(nonce) < 0)
        return control_fail(control, "no random bytes");
    answer = control_ask(control,
                         json_pack("{s:s, s:s}", "lastbyte-load", BENCH_VERSION, "nonce", nonce),
                         CONTROL_PATIENCE_MS);
    if (!answer)
        return -1;
    if (json_unpack(answer, "{s:s, s:s}", "nonce", &theirs, "proof", &proof) == 0) {
        token_prove(token, "client", nonce, theirs, right);
        token_prove(token, "server", nonce, theirs, mine);
        rc = token_proves(proof, right) ? 0 : -1;
    }
    json_decref(answer);
    if (rc < 0)
        return refuse(control, "the token is not the one that this host has");
    return control_say(control, json_pack("{s:s}", "proof", mine));
}

/* With what the server has said first. */
static int introduce(struct control *control, const json_t *greeting, const struct token *token)
{
    char nonce[NONCE_SIZE], mine[PROOF_SIZE], right[PROOF_SIZE];
    const char *version, *theirs, *proof;
    json_t *answer;
    int rc = -1;

    if (json_unpack((json_t *)greeting, "{s:s, s:s}", "lastbyte-load", &version, "nonce", &theirs) <
        0)
        return control_fail(control, "no lastbyte-load is there");
    if (strcmp(version, BENCH_VERSION) != 0)
        return control_fail(control,
                            "lastbyte-load %s is there, and here is %s: both hosts need "
                            "the same",
                            version, BENCH_VERSION);
    if (token_nonce(nonce) < 0)
        return control_fail(control, "no random bytes");
    token_prove(token, "client", theirs, nonce, mine);
    token_prove(token, "server", theirs, nonce, right);
    answer = control_ask(control, json_pack("{s:s, s:s}", "nonce", nonce, "proof", mine),
                         CONTROL_PATIENCE_MS);
    if (!answer)
        return -1;
    if (json_unpack(answer, "{s:s}", "proof", &proof) == 0 && token_proves(proof, right))
        rc = 0;
    json_decref(answer);
    return rc == 0 ? 0 : control_fail(control, "it doesn't know the token");
}

int control_open(struct control *control, const char *server, const struct token *token)
{
    struct sockaddr_in address;
    const char *why = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
    json_t *greeting;

    control_init(control, fd);
    if (fd < 0)
        return control_fail(control, "socket: %s", strerror(errno));
    if (control_resolve(server, &address, &why) < 0)
        return control_fail(control, "%s", why);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return control_fail(control, "%s; does lastbyte-load --server run there?", strerror(errno));
    greeting = control_hear(control, CONTROL_PATIENCE_MS);
    if (!greeting)
        return -1;
    rc = introduce(control, greeting, token);
    json_decref(greeting);
    return rc;
}
