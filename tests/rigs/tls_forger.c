/* SPDX-License-Identifier: MIT */
#include "tls_replay.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 5, TAG = 16, NONCE = 12, LABEL_MAX = 32 };

/* HKDF-Expand-Label of RFC 8446, where one block is enough. */
static void expand(const struct forger *forger, const char *label, uint8_t *made, size_t size)
{
    const EVP_MD *digest = EVP_get_digestbyname(forger->suite->digest);
    uint8_t info[LABEL_MAX] = {0, (uint8_t)size, (uint8_t)(6 + strlen(label))};
    uint8_t block[EVP_MAX_MD_SIZE];
    size_t used = 3;

    memcpy(info + used, "tls13 ", 6);
    used += 6;
    memcpy(info + used, label, strlen(label));
    used += strlen(label);
    info[used++] = 0; /* no context */
    info[used++] = 1; /* the first block */
    HMAC(digest, forger->secret, (int)forger->suite->digest_size, info, used, block, NULL);
    memcpy(made, block, size);
}

void forger_begin(struct forger *forger, const struct replay_client *client)
{
    size_t size;

    *forger = (struct forger){.suite = client->suite};
    OPENSSL_hexstr2buf_ex(forger->secret, sizeof(forger->secret), &size,
                          strrchr(client->secret, ' ') + 1, '\0');
}

void forger_end(struct forger *forger)
{
    free(forger->bytes);
}

/* Returns where size more bytes may stand. */
static uint8_t *extend(struct forger *forger, size_t size)
{
    forger->bytes = realloc(forger->bytes, forger->size + size);
    if (!forger->bytes)
        abort();
    forger->size += size;
    return forger->bytes + forger->size - size;
}

static void seal(struct forger *forger, uint8_t *record, size_t inner)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, forger->suite->cipher, NULL);
    uint8_t key[32], nonce[NONCE];
    int size;

    expand(forger, "key", key, forger->suite->key_size);
    expand(forger, "iv", nonce, NONCE);
    for (unsigned i = 0; i < 8; i++)
        nonce[NONCE - 1 - i] ^= (uint8_t)(forger->sequence >> 8 * i);
    forger->sequence++;
    EVP_EncryptInit_ex(ctx, cipher, NULL, key, nonce);
    EVP_EncryptUpdate(ctx, NULL, &size, record, HEADER);
    EVP_EncryptUpdate(ctx, record + HEADER, &size, record + HEADER, (int)inner);
    EVP_EncryptFinal_ex(ctx, record + HEADER + size, &size);
    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, record + HEADER + inner);
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_CTX_free(ctx);
}

static uint8_t *begin(struct forger *forger, unsigned type, unsigned version, size_t body)
{
    uint8_t *record = extend(forger, HEADER + body);

    record[0] = (uint8_t)type;
    record[1] = (uint8_t)(version >> 8);
    record[2] = (uint8_t)version;
    record[3] = (uint8_t)(body >> 8);
    record[4] = (uint8_t)body;
    return record;
}

void forge(struct forger *forger, unsigned type, const void *content, size_t size, size_t padding)
{
    size_t inner = size + 1 + padding;
    uint8_t *record = begin(forger, SSL3_RT_APPLICATION_DATA, TLS1_2_VERSION, inner + TAG);

    if (size > 0)
        memcpy(record + HEADER, content, size);
    record[HEADER + size] = (uint8_t)type;
    memset(record + HEADER + size + 1, 0, padding);
    seal(forger, record, inner);
}

void forge_raw(struct forger *forger, unsigned type, unsigned version, size_t size)
{
    uint8_t *record = begin(forger, type, version, size);

    memset(record + HEADER, 1, size);
}

void forge_next_keys(struct forger *forger)
{
    expand(forger, "traffic upd", forger->secret, forger->suite->digest_size);
    forger->sequence = 0;
}

void forge_update(struct forger *forger, bool requested)
{
    const uint8_t message[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, requested};

    forge(forger, SSL3_RT_HANDSHAKE, message, sizeof(message), 0);
    forge_next_keys(forger);
}

void forge_end(struct forger *forger)
{
    forge(forger, SSL3_RT_ALERT, (const uint8_t[]){SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY}, 2, 0);
}

/* ---- by dice --------------------------------------------------------------------------------- */

static const uint8_t *some_bytes(size_t size)
{
    static uint8_t bytes[(16 << 10) + 300];

    if (!bytes[1])
        payload_fill(1, 0, bytes, sizeof(bytes));
    return bytes + sizeof(bytes) - size;
}

static void forge_content(struct forger *forger, struct dice *dice)
{
    static const unsigned short sizes[] = {0, 1, 15, 16, 17, 1000, 16383, 16384, 16385};
    const unsigned kinds = sizeof(sizes) / sizeof(sizes[0]);
    size_t size = dice_chance(dice, 2) ? sizes[dice_below(dice, kinds)] : dice_below(dice, 16385);
    size_t padding = dice_chance(dice, 3) ? dice_below(dice, 256) : 0;

    if (dice_chance(dice, 4)) {
        forge(forger, SSL3_RT_APPLICATION_DATA, NULL, 0, padding);
        return;
    }
    forge(forger, SSL3_RT_APPLICATION_DATA, some_bytes(size), size, padding);
}

static void forge_alert(struct forger *forger, struct dice *dice)
{
    static const uint8_t alerts[] = {SSL_AD_USER_CANCELLED, SSL_AD_CLOSE_NOTIFY,
                                     SSL_AD_BAD_RECORD_MAC, SSL_AD_NO_RENEGOTIATION, 255};
    const uint8_t alert[] = {(uint8_t)(1 + dice_below(dice, 3)),
                             alerts[dice_below(dice, sizeof(alerts))], 0};

    forge(forger, SSL3_RT_ALERT, alert, dice_chance(dice, 8) ? dice_below(dice, 4) : 2,
          dice_below(dice, 3));
}

/* A message of a handshake, in one record or in two. */
static void forge_message(struct forger *forger, struct dice *dice)
{
    static const uint8_t types[] = {SSL3_MT_KEY_UPDATE,        SSL3_MT_CLIENT_HELLO,
                                    SSL3_MT_NEWSESSION_TICKET, SSL3_MT_CERTIFICATE,
                                    SSL3_MT_FINISHED,          99};
    const uint8_t message[8] = {types[dice_below(dice, sizeof(types))], 0, 0,
                                (uint8_t)(1 + dice_below(dice, 3)), (uint8_t)dice_below(dice, 3)};
    size_t size = 4 + message[3], first = dice_below(dice, (unsigned)size + 1);

    forge(forger, SSL3_RT_HANDSHAKE, message, first, 0);
    if (dice_chance(dice, 4))
        forge(forger, SSL3_RT_APPLICATION_DATA, "between", 7, 0);
    if (first < size)
        forge(forger, SSL3_RT_HANDSHAKE, message + first, size - first, 0);
    if (!dice_chance(dice, 4))
        forge_next_keys(forger);
}

static void forge_nonsense(struct forger *forger, struct dice *dice)
{
    static const unsigned versions[] = {TLS1_2_VERSION, TLS1_VERSION, TLS1_3_VERSION, 0x0203, 0};

    if (dice_chance(dice, 2))
        forge_raw(forger, dice_chance(dice, 2) ? 20 + dice_below(dice, 5) : dice_below(dice, 256),
                  versions[dice_below(dice, 5)],
                  dice_chance(dice, 2) ? dice_below(dice, 40) : 16600 + dice_below(dice, 200));
    else
        forge(forger, dice_below(dice, 256), some_bytes(20), dice_below(dice, 21),
              dice_below(dice, 3));
}

void forge_by_dice(struct forger *forger, struct dice *dice)
{
    unsigned steps = 1 + dice_below(dice, 12);

    while (steps-- > 0) {
        unsigned step = dice_below(dice, 16);

        if (step < 9)
            forge_content(forger, dice);
        else if (step < 12)
            forge_update(forger, dice_chance(dice, 2));
        else if (step == 12)
            forge_alert(forger, dice);
        else if (step == 13)
            forge_message(forger, dice);
        else if (step == 14)
            for (unsigned i = dice_below(dice, 70); i > 0; i--)
                forge(forger, SSL3_RT_APPLICATION_DATA, NULL, 0, 0);
        else
            forge_nonsense(forger, dice);
    }
    if (!dice_chance(dice, 4))
        forge_end(forger);
}
