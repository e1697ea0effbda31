/* SPDX-License-Identifier: MIT */
/*
 * Records of a stream behind libssl's handshake, deciphered from the piece that they came in: TLS
 * 1.3 with AES-GCM or ChaCha20-Poly1305 (RFC 8446, 5.2). Of any other connection libssl reads.
 *
 * Only content is deciphered for good. Whatever else a record has, libssl has to be shown: alerts,
 * messages of handshakes, records that are none or were damaged. So it judges them, answers them
 * and counts them as it does without us. It has the same keys, but has seen other records before:
 * the record is enciphered anew for it, with the number that it expects, and never leaves the
 * process.
 */
#ifndef LB_TLS_RECORDS_H
#define LB_TLS_RECORDS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LB_TLS_RECORD_MOST = 5 + (16 << 10) + 256, /* bytes of one, as it comes */
    LB_TLS_NOTE_SIZE = 5 + 2 + 16,
};

struct lb_tls_suite;

/* Zeroed: libssl reads. */
struct lb_tls_records {
    const struct lb_tls_suite *suite;
    EVP_CIPHER *cipher;  /* NULL: libssl reads */
    EVP_CIPHER_CTX *ctx; /* NULL: the stream is idle */
    uint8_t *part;       /* what has come of a record; NULL: none has begun */
    size_t have;         /* bytes of it */
    uint64_t sequence;   /* number of the next record, under its key */
    uint64_t shown;      /* of the next that libssl is shown */
    uint8_t key[32], iv[12];
    uint8_t secret[48]; /* of which the keys are made, and the next secret */
    size_t secret_size;
    bool unsure; /* libssl was shown something, and not yet that content came behind it */
};

/* What lb_tls_records_learn is told by libssl: a line of its key log. Takes the client's secret. */
void lb_tls_records_learn(struct lb_tls_records *records, const char *line);

/* The handshake is over. Records are ours from now on if the secret was learnt and fits to a suite
 * that we know. 0 or -ENOMEM. */
int lb_tls_records_begin(struct lb_tls_records *records, const SSL *ssl);

/* libssl has taken the peer's KeyUpdate: what comes behind has the next keys. 0 or -ENOMEM. */
int lb_tls_records_renew(struct lb_tls_records *records);

void lb_tls_records_done(struct lb_tls_records *records);

/* What is left of a piece. */
struct lb_tls_piece {
    const uint8_t *data;
    size_t size;
};

enum lb_tls_found {
    LB_TLS_NOTHING,   /* the piece is used up; what is left of it is kept */
    LB_TLS_CONTENT,   /* bytes of the stream */
    LB_TLS_SHOW,      /* a record for libssl, which may go on with it */
    LB_TLS_REFUSED,   /* a record for libssl, which won't */
    LB_TLS_NO_MEMORY, /* for a record that comes in parts */
};

/* Takes the next record off the piece. *size bytes of what it is come to made, which has room for
 * one of LB_TLS_RECORD_MOST; no more bytes are made of some than they are. */
enum lb_tls_found lb_tls_records_next(struct lb_tls_records *records, struct lb_tls_piece *piece,
                                      uint8_t *made, size_t *size);

/* Before content is passed on while unsure: a record for libssl that has a byte of content, so that
 * it knows. Returns its size, or 0: libcrypto has failed. */
size_t lb_tls_records_note(struct lb_tls_records *records, uint8_t note[LB_TLS_NOTE_SIZE]);

#endif
