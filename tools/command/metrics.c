/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include "command.h"
#include "console.h"
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Nobody who asks can hold more than this, nor keep others from asking. */
enum {
    CLIENTS = 8,          /* at once, of an address; a further one takes the place of the oldest */
    CLIENT_MEMORY = 8192, /* for what one asks */
    PATIENCE_S = 10       /* with one that is silent */
};

/* One who asks, by the connection. */
struct client {
    int fd;          /* the daemon's */
    uint64_t number; /* in the order in which they came; 0: nobody is here */
    bool leaving;    /* has been shown out */
};

/* One address. All but the daemon is its thread's. */
struct desk {
    struct MHD_Daemon *daemon; /* NULL: nobody answers */
    const struct lb_engine *engine;
    struct client clients[CLIENTS + 1]; /* the one that is to leave has not left yet */
    uint64_t last_number;
};

struct metrics {
    struct lb_listener_list listeners;
    struct desk *desks; /* one for each */
};

/* ---- answering ------------------------------------------------------------------------------- */

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, char *text,
                                 size_t size, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "text/plain; version=0.0.4; charset=utf-8");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    return send_text(connection, status, (char *)(uintptr_t)text, strlen(text),
                     MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_metrics(struct MHD_Connection *connection,
                                    const struct lb_engine *engine)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return MHD_NO;
    metrics_write(out, engine);
    if (fclose(out) == 0)
        return send_text(connection, MHD_HTTP_OK, text, size, MHD_RESPMEM_MUST_FREE);
    free(text);
    return MHD_NO;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **request)
{
    const struct desk *desk = context;

    (void)version, (void)data;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET /metrics\n");
    /* At its end, and not at that of its head, or the connection could not be used again. */
    if (!*request) {
        *request = connection;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0; /* whatever it is */
        return MHD_YES;
    }
    if (strcmp(url, "/metrics") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics\n");
    return send_metrics(connection, desk->engine);
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* What was said gets there, other than at a stream's sudden end (mark in net/listener.c). */
static void close_in_order(int fd)
{
    const struct linger none = {.l_onoff = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* Whoever comes while all places are taken gets one: the oldest, who may never say what it wants,
 * is shown out. */
static void come(struct desk *desk, int fd, void **place)
{
    struct client *free_place = NULL, *oldest = NULL;
    unsigned staying = 0;

    for (size_t i = 0; i <= CLIENTS; i++) {
        struct client *client = &desk->clients[i];

        if (client->number == 0)
            free_place = client;
        else if (!client->leaving && (!oldest || client->number < oldest->number))
            oldest = client;
        staying += client->number != 0 && !client->leaving;
    }
    if (staying >= CLIENTS) {
        shutdown(oldest->fd, SHUT_RDWR);
        oldest->leaving = true;
    }
    if (free_place)
        *free_place = (struct client){.fd = fd, .number = ++desk->last_number};
    *place = free_place;
}

static void notice(void *context, struct MHD_Connection *connection, void **place,
                   enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (code == MHD_CONNECTION_NOTIFY_STARTED && info) {
        close_in_order(info->connect_fd);
        come(context, info->connect_fd, place);
    } else if (code == MHD_CONNECTION_NOTIFY_CLOSED && *place) {
        *(struct client *)*place = (struct client){0};
    }
}

/* ---- open and close -------------------------------------------------------------------------- */

int metrics_open(struct metrics **result, const char *address)
{
    const char *const addresses[] = {address, NULL};
    const struct lb_listener_options options = {.sockets = 1};
    struct lb_error error = {LB_ERROR_INIT};
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    int rc = -ENOMEM;

    if (metrics)
        rc = lb_listener_open(&metrics->listeners, addresses, &options, &error);
    if (rc == 0)
        metrics->desks = calloc(metrics->listeners.count, sizeof(*metrics->desks));
    if (rc == 0 && metrics->desks) {
        *result = metrics;
        return STATUS_OK;
    }
    console_tell("--metrics: %s", error.text[0] ? error.text : "out of memory");
    metrics_close(metrics);
    return STATUS_NO_START;
}

void metrics_tell(const struct metrics *metrics)
{
    for (size_t i = 0; i < metrics->listeners.count; i++) {
        const struct lb_listener *listener = &metrics->listeners.items[i];
        bool tcp = strncmp(listener->name, "unix:", strlen("unix:")) != 0;

        console_first("metrics on %s%s%s", tcp ? "http://" : "", listener->name,
                      tcp ? "/metrics" : "");
    }
}

static int start(struct desk *desk, int listener_fd)
{
    const unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC;
    /* It closes its own. */
    int fd = fcntl(listener_fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return -errno;
    desk->daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, desk,                        /* */
                                    MHD_OPTION_LISTEN_SOCKET, fd,                              /* */
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS + 1,        /* */
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY, /* */
                                    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_S,       /* */
                                    MHD_OPTION_NOTIFY_CONNECTION, notice, desk, MHD_OPTION_END);
    if (desk->daemon)
        return 0;
    return errno ? -errno : -EIO;
}

int metrics_start(struct metrics *metrics, const struct lb_engine *engine)
{
    for (size_t i = 0; i < metrics->listeners.count; i++) {
        int rc;

        metrics->desks[i].engine = engine;
        errno = 0;
        rc = start(&metrics->desks[i], lb_listener_fd(&metrics->listeners.items[i], 0));
        if (rc == 0)
            continue;
        console_tell("--metrics: nobody can answer: %s", strerror(-rc));
        return STATUS_NO_START;
    }
    return STATUS_OK;
}

void metrics_close(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; metrics->desks && i < metrics->listeners.count; i++)
        if (metrics->desks[i].daemon)
            MHD_stop_daemon(metrics->desks[i].daemon);
    lb_listener_close(&metrics->listeners);
    free(metrics->desks);
    free(metrics);
}
