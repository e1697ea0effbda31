/* SPDX-License-Identifier: MIT */
/* libuv as it is used: a handle for each stream, one buffer of the size it suggests (64 KiB), since
 * a read is over before the next is begun. */
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

struct connection {
    uv_tcp_t handle; /* first: libuv's callbacks are given its address */
    struct tally tally;
};

static char buffer[64 << 10];

static struct receiver *receiver_of(const uv_handle_t *handle)
{
    return handle->loop->data;
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *lent)
{
    (void)handle;
    *lent =
        uv_buf_init(buffer, (unsigned)(suggested < sizeof(buffer) ? suggested : sizeof(buffer)));
}

static void free_connection(uv_handle_t *handle)
{
    free(handle);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *lent)
{
    struct connection *connection = (struct connection *)stream;
    struct receiver *receiver = receiver_of((uv_handle_t *)stream);

    if (got > 0)
        tally_take(receiver, &connection->tally, lent->base, (size_t)got);
    if (got >= 0)
        return;
    if (tally_end(receiver, &connection->tally, got == UV_EOF ? 0 : (int)-got))
        uv_stop(stream->loop);
    uv_close((uv_handle_t *)stream, free_connection);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct receiver *receiver = receiver_of((uv_handle_t *)server);
    struct connection *connection = status == 0 ? malloc(sizeof(*connection)) : NULL;
    int rc = status;

    if (connection)
        rc = uv_tcp_init(server->loop, &connection->handle);
    if (connection && rc == 0)
        rc = uv_accept(server, (uv_stream_t *)&connection->handle);
    if (connection && rc == 0) {
        tally_begin(receiver, &connection->tally);
        rc = uv_read_start((uv_stream_t *)&connection->handle, lend_buffer, on_read);
    }
    if (!connection || rc < 0) {
        arrivals_wrong(receiver->arrivals, "libuv could not accept: %s",
                       rc < 0 ? uv_strerror(rc) : "out of memory");
        uv_stop(server->loop);
    }
}

static void close_handle(uv_handle_t *handle, void *server)
{
    if (!uv_is_closing(handle))
        uv_close(handle, handle == server ? NULL : free_connection);
}

int libuv_receive(const struct contender *contender, struct receiver *receiver)
{
    int listener = receiver_listen(receiver);
    uv_tcp_t server;
    uv_loop_t loop;
    int rc;

    (void)contender;
    if (listener < 0)
        return -1;
    rc = uv_loop_init(&loop);
    if (rc < 0) {
        close(listener);
        return receiver_fail(receiver, uv_strerror(rc), 0);
    }
    loop.data = receiver;
    uv_tcp_init(&loop, &server);
    rc = uv_tcp_open(&server, listener);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&server, RECEIVER_BACKLOG, on_connection);
    if (rc == 0) {
        receiver_ready(receiver, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
        receiver_done(receiver);
    }
    uv_walk(&loop, close_handle, &server);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return rc == 0 ? 0 : receiver_fail(receiver, uv_strerror(rc), 0);
}
