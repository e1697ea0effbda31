/* SPDX-License-Identifier: MIT */
/* The floor under every receiver of TLS: the same bytes, deciphered by AES-128-GCM in records of
 * 16 KiB. The stream itself is received and dropped before, which is not counted. */
#include "identity.h"
#include "payload.h"
#include "tally.h"
#include "ways_to_receive.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RECORD = 16 << 10,
    TAG = 16,
    HEADER = 5,
    NONCE = 12,
    /* As many as hold the payload once: the last is a little shorter. */
    RECORDS = (PAYLOAD_PERIOD + RECORD - 1) / RECORD,
    DROPPED = 1 << 20,
};

static struct record {
    uint8_t nonce[NONCE], header[HEADER], bytes[RECORD], tag[TAG];
    int size;
} records[RECORDS];

static const uint8_t key[16] = "the same for all";

static bool encipher(EVP_CIPHER_CTX *ctx, struct record *record, uint64_t position)
{
    int size;

    return EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, record->nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &size, record->header, HEADER) == 1 &&
           EVP_EncryptUpdate(ctx, record->bytes, &size, payload_at(position), record->size) == 1 &&
           EVP_EncryptFinal_ex(ctx, record->bytes + size, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, record->tag) == 1;
}

static bool decipher(EVP_CIPHER_CTX *ctx, struct record *record, uint8_t plain[RECORD])
{
    int size;

    return EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, record->nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &size, record->header, HEADER) == 1 &&
           EVP_DecryptUpdate(ctx, plain, &size, record->bytes, record->size) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, record->tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, plain + size, &size) == 1;
}

static bool encipher_all(EVP_CIPHER_CTX *ctx)
{
    bool done = EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, NULL) == 1;

    for (int i = 0; done && i < RECORDS; i++) {
        records[i].size = i + 1 < RECORDS ? RECORD : PAYLOAD_PERIOD % RECORD;
        records[i].nonce[NONCE - 1] = (uint8_t)i;
        done = encipher(ctx, &records[i], payload_phase(0) + (uint64_t)i * RECORD);
    }
    return done && EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, NULL) == 1;
}

static int decipher_all(EVP_CIPHER_CTX *ctx, struct receiver *receiver)
{
    uint64_t left = receiver->trial->stream_bytes;
    static uint8_t plain[RECORD];
    struct tally tally;

    tally_begin(receiver, &tally);
    for (unsigned i = 0; left > 0; i = (i + 1) % RECORDS) {
        uint64_t size = (uint64_t)records[i].size < left ? (uint64_t)records[i].size : left;

        if (!decipher(ctx, &records[i], plain))
            return receiver_fail(receiver, "a record doesn't decipher", 0);
        tally_take(receiver, &tally, plain, size);
        left -= size;
    }
    tally_end(receiver, &tally, 0);
    return 0;
}

/* For the sender, who means it: its bytes are dropped. */
static int drop_stream(int listener, SSL_CTX *ctx)
{
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = fd < 0 ? NULL : SSL_new(ctx);
    bool done = ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1;
    ssize_t got = done ? 1 : -1;

    while (done && (got > 0 || (got < 0 && errno == EINTR)))
        got = recv(fd, NULL, DROPPED, MSG_TRUNC);
    SSL_free(ssl);
    if (fd >= 0)
        close(fd);
    return got == 0 ? 0 : -1;
}

static int serve(struct receiver *receiver, int listener, SSL_CTX *ctx, EVP_CIPHER_CTX *cipher)
{
    int rc;

    receiver_ready(receiver, NULL);
    if (drop_stream(listener, ctx) < 0)
        return receiver_fail(receiver, "receiving", errno);
    receiver_restart(receiver);
    rc = decipher_all(cipher, receiver);
    receiver_done(receiver);
    return rc;
}

int cipher_receive(const struct contender *contender, struct receiver *receiver)
{
    int listener = receiver_listen(receiver), rc = -1;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    SSL_CTX *ctx = identity_context();

    (void)contender;
    if (listener >= 0 && ctx && cipher && encipher_all(cipher))
        rc = serve(receiver, listener, ctx, cipher);
    else if (listener >= 0)
        receiver_fail(receiver, "no cipher", 0);
    EVP_CIPHER_CTX_free(cipher);
    SSL_CTX_free(ctx);
    if (listener >= 0)
        close(listener);
    return rc;
}
