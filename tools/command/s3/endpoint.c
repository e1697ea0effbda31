/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include "fail.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATES_MAX = 16 << 20, HOST_MAX = 255 };

/* An endpoint's URL, taken apart. */
struct parts {
    char *scheme, *host, *port, *path, *user, *query, *fragment;
    bool names_port; /* even if that is the scheme's own, which port then leaves out */
};

static void free_parts(struct parts *parts)
{
    char *all[] = {parts->scheme, parts->host,  parts->port,    parts->path,
                   parts->user,   parts->query, parts->fragment};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        curl_free(all[i]);
}

static int take_apart(struct parts *parts, const char *text, struct lb_error *error)
{
    CURLU *url = curl_url();
    char *port = NULL;
    bool good = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;

    *parts = (struct parts){0};
    if (good) {
        curl_url_get(url, CURLUPART_SCHEME, &parts->scheme, 0);
        curl_url_get(url, CURLUPART_HOST, &parts->host, 0);
        curl_url_get(url, CURLUPART_PORT, &parts->port, CURLU_NO_DEFAULT_PORT);
        parts->names_port = curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK;
        curl_url_get(url, CURLUPART_PATH, &parts->path, 0);
        curl_url_get(url, CURLUPART_USER, &parts->user, 0);
        curl_url_get(url, CURLUPART_QUERY, &parts->query, 0);
        curl_url_get(url, CURLUPART_FRAGMENT, &parts->fragment, 0);
    }
    curl_free(port);
    curl_url_cleanup(url);
    if (!parts->scheme || !parts->host || !parts->path || parts->query || parts->fragment ||
        strlen(parts->host) > HOST_MAX || strlen(parts->path) > HOST_MAX ||
        (strcmp(parts->scheme, "https") != 0 && strcmp(parts->scheme, "http") != 0))
        return s3_fail(error, -EINVAL,
                       "AWS_ENDPOINT_URL=%s: no endpoint; use https://HOST[:PORT] or "
                       "http://HOST[:PORT]",
                       parts->user ? "..." : text);
    if (parts->user)
        return s3_fail(error, -EINVAL,
                       "AWS_ENDPOINT_URL: holds a user; credentials are given by "
                       "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return 0;
}

static bool is_address(const char *host)
{
    struct in_addr address;

    return *host == '[' || inet_pton(AF_INET, host, &address) == 1;
}

/* Bucket and host, in the path or before the host. */
static int place_bucket(struct s3_endpoint *endpoint, const struct parts *parts, const char *bucket,
                        struct lb_error *error)
{
    /* A certificate for *.HOST knows no dots. */
    bool in_path =
        parts->names_port || is_address(parts->host) || (endpoint->https && strchr(bucket, '.'));
    size_t slash = strlen(parts->path);
    int length;

    while (slash > 0 && parts->path[slash - 1] == '/')
        slash--;
    length = snprintf(endpoint->authority, sizeof(endpoint->authority), "%s%s%s%s%s",
                      in_path ? "" : bucket, in_path ? "" : ".", parts->host,
                      parts->port ? ":" : "", parts->port ? parts->port : "");
    if (length < (int)sizeof(endpoint->authority))
        length = snprintf(endpoint->path, sizeof(endpoint->path), "%.*s%s%s", (int)slash,
                          parts->path, in_path ? "/" : "", in_path ? bucket : "");
    if (length >= (int)sizeof(endpoint->path))
        return s3_fail(error, -EINVAL, "AWS_ENDPOINT_URL: is too long with the bucket's name");
    snprintf(endpoint->url, sizeof(endpoint->url), "%s://%s", parts->scheme, endpoint->authority);
    return 0;
}

/* ---- addresses ------------------------------------------------------------------------------- */

static bool is_local(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* "HOST:PORT:ADDRESS,ADDRESS..." */
static int list_addresses(struct s3_endpoint *endpoint, const char *host, const char *port,
                          const struct addrinfo *found)
{
    char text[2048], name[INET6_ADDRSTRLEN];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s:%s:", host, port);
    bool first = true;

    for (; found; found = found->ai_next) {
        bool v6 = found->ai_family == AF_INET6;

        endpoint->remote = endpoint->remote || !is_local(found->ai_addr);
        if (getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof(name), NULL, 0,
                        NI_NUMERICHOST) ||
            used + strlen(name) + 4 > sizeof(text))
            continue;
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s%s", first ? "" : ",",
                                 v6 ? "[" : "", name, v6 ? "]" : "");
        first = false;
    }
    endpoint->addresses = curl_slist_append(NULL, text);
    return endpoint->addresses ? 0 : -ENOMEM;
}

static int resolve(struct s3_endpoint *endpoint, const struct parts *parts, struct lb_error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char host[sizeof(endpoint->authority)];
    struct addrinfo *found = NULL;
    const char *port = parts->port ? parts->port : endpoint->https ? "443" : "80";
    int rc;

    /* The bucket may stand before it; a port does not, nor brackets. */
    snprintf(host, sizeof(host), "%s", endpoint->authority + (*endpoint->authority == '['));
    host[*endpoint->authority == '[' ? strcspn(host, "]") : strcspn(host, ":")] = '\0';
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc)
        return s3_fail(error, -EHOSTUNREACH, "the store's name %s has no address: %s", host,
                       gai_strerror(rc));
    if (is_address(parts->host)) {
        endpoint->remote = !is_local(found->ai_addr);
        rc = 0;
    } else {
        rc = list_addresses(endpoint, host, port, found);
    }
    freeaddrinfo(found);
    return rc < 0 ? s3_fail(error, rc, "out of memory") : 0;
}

/* ---- certificates ---------------------------------------------------------------------------- */

static int read_all(int fd, char *data, size_t size)
{
    for (size_t used = 0; used < size;) {
        ssize_t got = read(fd, data + used, size - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        used += (size_t)got;
    }
    return 0;
}

/* Now, as no file may be opened later. */
static int read_certificates(struct s3_endpoint *endpoint, struct lb_error *error)
{
    const char *path = getenv("AWS_CA_BUNDLE");
    struct stat status = {0};
    int fd, rc = 0;

    if (!path || !*path)
        path = curl_version_info(CURLVERSION_NOW)->cainfo;
    if (!path)
        return s3_fail(error, -ENOENT,
                       "libcurl knows no file of certificates; name one by AWS_CA_BUNDLE");
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        rc = -errno;
    else if (!S_ISREG(status.st_mode) || status.st_size == 0 || status.st_size > CERTIFICATES_MAX)
        rc = -EINVAL;
    else if (!(endpoint->certificates = malloc((size_t)status.st_size)))
        rc = -ENOMEM;
    if (rc == 0) {
        endpoint->certificates_size = (size_t)status.st_size;
        rc = read_all(fd, endpoint->certificates, endpoint->certificates_size);
    }
    if (fd >= 0)
        close(fd);
    if (rc < 0)
        return s3_fail(error, rc == -EINVAL ? -EIO : rc,
                       "certificates of %s: %s; install ca-certificates, or name a file by "
                       "AWS_CA_BUNDLE",
                       path, rc == -EINVAL ? "no regular file with some" : strerror(-rc));
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int fill(struct s3_endpoint *endpoint, const struct parts *parts, const char *bucket,
                struct lb_error *error)
{
    int rc;

    assert(parts->scheme);
    endpoint->https = strcmp(parts->scheme, "https") == 0;
    rc = place_bucket(endpoint, parts, bucket, error);
    if (rc == 0)
        rc = resolve(endpoint, parts, error);
    if (rc == 0 && endpoint->https)
        rc = read_certificates(endpoint, error);
    return rc;
}

int s3_endpoint_open(struct s3_endpoint *endpoint, const char *bucket, const char *region,
                     struct lb_error *error)
{
    const char *given = getenv("AWS_ENDPOINT_URL");
    char text[128];
    struct parts parts;
    int rc;

    *endpoint = (struct s3_endpoint){0};
    if (!given || !*given) {
        snprintf(text, sizeof(text), "https://s3.%s.amazonaws.com", region);
        given = text;
    }
    rc = take_apart(&parts, given, error);
    if (rc == 0)
        rc = fill(endpoint, &parts, bucket, error);
    free_parts(&parts);
    if (rc < 0)
        s3_endpoint_close(endpoint);
    return rc;
}

void s3_endpoint_close(struct s3_endpoint *endpoint)
{
    curl_slist_free_all(endpoint->addresses);
    free(endpoint->certificates);
    *endpoint = (struct s3_endpoint){0};
}
