/* SPDX-License-Identifier: MIT */
/* Signature Version 4, as AWS documents it ("Signing AWS API requests"), for one request at a time.
 */
#ifndef SIGV4_H
#define SIGV4_H

#include <stdbool.h>
#include <stddef.h>

/* What stands for the hash of a payload that is not signed. */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

enum {
    SIGV4_HEX_SIZE = 65,            /* a SHA-256 in hexadecimal, with its NUL */
    SIGV4_STAMP_SIZE = 17,          /* "20150830T123600Z" with its NUL */
    SIGV4_AUTHORIZATION_SIZE = 640, /* more than any with keys and headers of ours */
};

struct sigv4_key {
    const char *access_key, *secret;
    const char *region, *service;
};

struct sigv4_header {
    const char *name;  /* in small letters */
    const char *value; /* without blanks around it */
};

struct sigv4_request {
    const char *method;
    const char *path;                   /* encoded, from its first slash on */
    const char *query;                  /* encoded and in order: "a=1&b="; "" for none */
    const struct sigv4_header *headers; /* those to be signed, by name */
    size_t header_count;
    const char *payload; /* its SHA-256 in hexadecimal, or SIGV4_UNSIGNED */
};

/* Writes the value of the header Authorization. stamp is also in the header x-amz-date. Returns 0,
 * -ENOMEM, or -EMSGSIZE for what is too long. */
int sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request, const char *stamp,
               char authorization[SIGV4_AUTHORIZATION_SIZE]);

/* The time, seconds since 1970, as sigv4_sign wants it. */
void sigv4_stamp(char stamp[SIGV4_STAMP_SIZE], long long seconds);

/* The SHA-256 of bytes in hexadecimal. Returns 0 or -ENOMEM. */
int sigv4_hash(const void *data, size_t size, char hex[SIGV4_HEX_SIZE]);

void sigv4_hex(const unsigned char digest[32], char hex[SIGV4_HEX_SIZE]);

/* Writes text as paths and queries carry it; a slash stays one where slashes is set. Returns the
 * length, or -EMSGSIZE if there is no room for it and its NUL. */
long sigv4_encode(char *encoded, size_t room, const char *text, bool slashes);

#endif
