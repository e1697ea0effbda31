/* SPDX-License-Identifier: MIT */
#include "readiness.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

static bool receive(struct lb_pool *pool, struct lb_conn *conn, struct lb_event *event)
{
    unsigned slot = 0;
    bool taken = lb_pool_take(pool, &slot);
    uint8_t *data = lb_pool_data(pool, slot);
    ssize_t size;

    assert(taken && conn->receiving);
    (void)taken;
    lb_pool_uncover(pool, slot);
    size = recv(conn->fd, data, pool->slot_size, MSG_DONTWAIT);
    lb_pool_cover(pool, slot);
    if (size > 0) {
        lb_pool_lend(pool, data, (size_t)size);
        conn->receiving = !lb_conn_part(conn)->once;
        *event = (struct lb_event){
            .type = LB_EVENT_DATA,
            .conn = conn,
            .chunk = {data, (size_t)size},
        };
        return true;
    }
    lb_pool_put(pool, slot);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    conn->receiving = false;
    *event = (struct lb_event){
        .type = size == 0 ? LB_EVENT_EOF : LB_EVENT_ERROR,
        .error = size == 0 ? 0 : -errno,
        .conn = conn,
    };
    return true;
}

static void stop_receiving(struct lb_conn *conn)
{
    conn->receiving = false;
    lb_conn_part(conn)->awaiting = false;
}

bool lb_readiness_receive(struct lb_pool *pool, struct lb_conn *conn, struct lb_event *event)
{
    if (lb_conn_part(conn)->awaiting) {
        stop_receiving(conn);
        *event = (struct lb_event){.type = LB_EVENT_READABLE, .conn = conn};
        return true;
    }
    return receive(pool, conn, event);
}

void lb_readiness_give_back(struct lb_pool *pool, const struct lb_chunk *chunk)
{
    lb_pool_regain(pool, chunk->data, chunk->size);
    lb_pool_put(pool, lb_pool_slot(pool, chunk->data));
}

void lb_readiness_fail(struct lb_conn *conn, struct lb_event *event)
{
    stop_receiving(conn);
    *event =
        (struct lb_event){.type = LB_EVENT_ERROR, .error = lb_conn_part(conn)->error, .conn = conn};
    lb_conn_part(conn)->error = 0;
}

int lb_readiness_prepare(const struct lb_backend_config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        int flags = fcntl(config->listeners[i], F_GETFL);

        if (flags < 0 || fcntl(config->listeners[i], F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

int lb_readiness_timeout_ms(const struct lb_turn *turn)
{
    if (turn->timeout_ns < 0)
        return -1;
    if (turn->timeout_ns > INT64_C(1000000) * INT32_MAX)
        return INT32_MAX;
    return (int)((turn->timeout_ns + 999999) / 1000000);
}
