/* SPDX-License-Identifier: MIT */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>

int lb_tls_configure(SSL_CTX *ctx, bool tls_1_2)
{
    /* The fastest first; and a pre-shared key goes with SHA-256 only. */
    static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                 "TLS_AES_256_GCM_SHA384";
    /* Others cost a server much time, for a few bytes of whoever asks for them. */
    static const char groups[] = "X25519:P-256:P-384";
    static const char suites_1_2[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;

    SSL_CTX_set_options(ctx, options);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* An idle stream keeps no buffers. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(ctx, tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
                   SSL_CTX_set_ciphersuites(ctx, suites) == 1 &&
                   SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
                   SSL_CTX_set_cipher_list(ctx, suites_1_2) == 1
               ? 0
               : -EIO;
}

SSL_SESSION *lb_tls_psk_session(SSL *ssl, const struct lb_psk *psk)
{
    static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
    SSL_SESSION *session = SSL_SESSION_new();

    if (session && SSL_SESSION_set1_master_key(session, psk->key, psk->key_size) == 1 &&
        SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, aes_128_gcm_sha256)) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

/* A third of what AES-GCM is good for, 2^24.5 full records: 128 GiB. */
#define RECORDS_OF_A_KEY ((uint64_t)1 << 23)

/* What is still to go out of a record has its key already: libssl says so, and is asked again with
 * the next one. */
void lb_tls_use_key(SSL *ssl, uint64_t *records)
{
    if (++*records <= RECORDS_OF_A_KEY || SSL_version(ssl) != TLS1_3_VERSION)
        return;
    if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
        *records = 1;
    else
        ERR_clear_error();
}

#define ALERT(name) name, "alert-" name

const char *lb_tls_alert_name(int alert, bool theirs)
{
    static const struct {
        int alert;
        const char *ours, *theirs;
    } names[] = {
        {SSL_AD_CLOSE_NOTIFY, ALERT("close-notify")},
        {SSL_AD_UNEXPECTED_MESSAGE, ALERT("unexpected-message")},
        {SSL_AD_BAD_RECORD_MAC, ALERT("bad-record-mac")},
        {SSL_AD_RECORD_OVERFLOW, ALERT("record-overflow")},
        {SSL_AD_HANDSHAKE_FAILURE, ALERT("handshake-failure")},
        {SSL_AD_BAD_CERTIFICATE, ALERT("bad-certificate")},
        {SSL_AD_UNSUPPORTED_CERTIFICATE, ALERT("unsupported-certificate")},
        {SSL_AD_CERTIFICATE_REVOKED, ALERT("certificate-revoked")},
        {SSL_AD_CERTIFICATE_EXPIRED, ALERT("certificate-expired")},
        {SSL_AD_CERTIFICATE_UNKNOWN, ALERT("certificate-unknown")},
        {SSL_AD_ILLEGAL_PARAMETER, ALERT("illegal-parameter")},
        {SSL_AD_UNKNOWN_CA, ALERT("unknown-ca")},
        {SSL_AD_ACCESS_DENIED, ALERT("access-denied")},
        {SSL_AD_DECODE_ERROR, ALERT("decode-error")},
        {SSL_AD_DECRYPT_ERROR, ALERT("decrypt-error")},
        {SSL_AD_PROTOCOL_VERSION, ALERT("protocol-version")},
        {SSL_AD_INSUFFICIENT_SECURITY, ALERT("insufficient-security")},
        {SSL_AD_INTERNAL_ERROR, ALERT("internal-error")},
        {SSL_AD_INAPPROPRIATE_FALLBACK, ALERT("inappropriate-fallback")},
        {SSL_AD_USER_CANCELLED, ALERT("user-canceled")},
        {SSL_AD_NO_RENEGOTIATION, ALERT("no-renegotiation")},
        {SSL_AD_MISSING_EXTENSION, ALERT("missing-extension")},
        {SSL_AD_UNSUPPORTED_EXTENSION, ALERT("unsupported-extension")},
        {SSL_AD_UNRECOGNIZED_NAME, ALERT("unrecognized-name")},
        {SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE, ALERT("bad-certificate-status-response")},
        {SSL_AD_UNKNOWN_PSK_IDENTITY, ALERT("unknown-psk-identity")},
        {SSL_AD_CERTIFICATE_REQUIRED, ALERT("certificate-required")},
        {SSL_AD_NO_APPLICATION_PROTOCOL, ALERT("no-application-protocol")},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].alert == alert)
            return theirs ? names[i].theirs : names[i].ours;
    return theirs ? "alert-unknown" : "unknown";
}

const char *lb_tls_complaint(void)
{
    unsigned long code = ERR_peek_last_error();

    return code ? ERR_reason_error_string(code) : NULL;
}
