/* SPDX-License-Identifier: MIT */
#include "tls_speaker.h"

#include "tls_rig.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

const char speaker_plain[SPEAKER_PLAIN + 1] =
    "twenty bytes in each of three records, and there is an end..";

int speaker_connect(struct server *server)
{
    int fd = peer_connect(lb_engine_address(server->engine, 0)), one = 1;

    CHECK(server, fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

void speaker_shake(struct server *server, struct speaker *speaker)
{
    speaker->ctx = tls_rig_context();
    speaker->peer = tls_rig_peer(speaker->ctx);
    speaker->fd = speaker_connect(server);
    speaker->size = 0;
    CHECK_OK(server, tls_rig_shake(speaker->peer, speaker->fd));
}

void speaker_add(struct server *server, struct speaker *speaker, const void *data, size_t size)
{
    if (size > 0)
        CHECK_SAME(server, SSL_write(speaker->peer, data, (int)size), size);
    speaker->size += tls_rig_take(speaker->peer, speaker->cipher + speaker->size,
                                  SPEAKER_CIPHER_MAX - speaker->size);
}

void speaker_add_end(struct server *server, struct speaker *speaker)
{
    SSL_shutdown(speaker->peer);
    speaker_add(server, speaker, NULL, 0);
}

size_t speaker_compose(struct server *server, struct speaker *speaker)
{
    const size_t part = SPEAKER_PLAIN / SPEAKER_PARTS;
    size_t whole;

    speaker_shake(server, speaker);
    for (int i = 0; i < SPEAKER_PARTS; i++)
        speaker_add(server, speaker, speaker_plain + i * part, part);
    whole = speaker->size;
    speaker_add_end(server, speaker);
    return whole;
}

void speaker_leave(struct speaker *speaker)
{
    SSL_free(speaker->peer);
    SSL_CTX_free(speaker->ctx);
    close(speaker->fd);
}

void speaker_say(struct server *server, struct speaker *speaker, size_t from, size_t to)
{
    CHECK_OK(server, peer_send(speaker->fd, speaker->cipher + from, to - from));
}

const struct ledger_entry *speaker_last_end(struct server *server, size_t count)
{
    const struct ledger_entry *entry;

    server_await_ends(server, count);
    entry = server_entry(server, count - 1);
    CHECK_SAME(server, atomic_load(&entry->phase), LEDGER_ENDED);
    return entry;
}

void speaker_await_refusals(struct server *server, uint64_t count)
{
    AWAIT(server, server_stats(server).failed_preludes == count);
}

void speaker_check_whole(struct server *server, size_t count)
{
    CHECK_SAME(server, speaker_last_end(server, count)->end, LB_END_EOF);
    server_check_bytes(server, count - 1, speaker_plain, SPEAKER_PLAIN, LB_END_EOF);
}
