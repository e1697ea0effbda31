/* SPDX-License-Identifier: MIT */
#include "address.h"

#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole decimal number from 0 to max: digits only, no sign, no space. */
static bool parse_number(const char *text, unsigned long max, unsigned long *value)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 10 || text[digits] != '\0')
        return false;
    *value = strtoul(text, NULL, 10);
    return *value <= max;
}

static int parse_unix(struct lb_address *address, const char *text, const char *path,
                      struct lb_error *error)
{
    size_t length = strlen(path);
    bool abstract = path[0] == '@';

    if (length == 0 || (abstract && length == 1))
        return lb_error_set(error, -EINVAL, "%s: no path; write unix:/PATH or unix:@NAME", text);
    if (length >= sizeof(address->un.sun_path))
        return lb_error_set(error, -EINVAL,
                            "%s: too long; a Unix socket's path has at most %zu bytes", text,
                            sizeof(address->un.sun_path) - 1);
    address->kind = LB_ADDRESS_UNIX;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, path, length);
    address->un_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (abstract)
        address->un.sun_path[0] = '\0';
    else
        address->un_size++;
    return 0;
}

static int parse_fd(struct lb_address *address, const char *text, const char *digits,
                    struct lb_error *error)
{
    unsigned long fd;

    if (!parse_number(digits, INT_MAX, &fd))
        return lb_error_set(error, -EINVAL, "%s: not a descriptor number; write fd:3", text);
    address->kind = LB_ADDRESS_FD;
    address->fd = (int)fd;
    return 0;
}

static int parse_tcp(struct lb_address *address, const char *text, struct lb_error *error)
{
    const char *host = text, *colon = strrchr(text, ':'), *host_end = colon;
    unsigned long port;

    if (!colon)
        return lb_error_set(
            error, -EINVAL,
            "%s: no port; write HOST:PORT, :PORT, [V6]:PORT, unix:PATH or unix:@NAME", text);
    if (host[0] == '[') {
        host++;
        host_end = colon - 1;
        if (colon == text + 1 || *host_end != ']' || host_end == host)
            return lb_error_set(error, -EINVAL, "%s: write an IPv6 address as [::1]:1090", text);
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return lb_error_set(error, -EINVAL,
                            "%s: more than one colon; write an IPv6 address as [::1]:1090", text);
    }
    if (!parse_number(colon + 1, 65535, &port))
        return lb_error_set(error, -EINVAL, "%s: '%s' is not a port; use a number from 0 to 65535",
                            text, colon + 1);
    if ((size_t)(host_end - host) >= sizeof(address->host))
        return lb_error_set(error, -EINVAL,
                            "%s: the host's name is too long; it has at most %zu bytes", text,
                            sizeof(address->host) - 1);
    address->kind = LB_ADDRESS_TCP;
    memcpy(address->host, host, (size_t)(host_end - host));
    snprintf(address->port, sizeof(address->port), "%lu", port);
    return 0;
}

int lb_address_parse(struct lb_address *address, const char *text, struct lb_error *error)
{
    memset(address, 0, sizeof(*address));
    if (!text)
        return lb_error_set(error, -EINVAL, "no address");
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(address, text, text + 5, error);
    if (strncmp(text, "fd:", 3) == 0)
        return parse_fd(address, text, text + 3, error);
    return parse_tcp(address, text, error);
}

int lb_address_check(const char *text, struct lb_error *error)
{
    struct lb_address address;

    return lb_address_parse(&address, text, error);
}

/* A link-local address names a machine on a link, and not which link (RFC 4007). */
static bool lacks_interface(const struct addrinfo *info)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)info->ai_addr;

    return info->ai_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr) &&
           in6->sin6_scope_id == 0;
}

static int tell_unresolved(const struct lb_address *address, int family, int rc,
                           struct lb_error *error)
{
    const char *interface = strchr(address->host, '%');

    if (rc == EAI_SYSTEM)
        return lb_error_set(error, -errno, "%s: %s", address->host, strerror(errno));
    if (rc == EAI_MEMORY)
        return lb_error_set(error, -ENOMEM, "%s: %s", address->host, gai_strerror(rc));
    if (interface && !if_nametoindex(interface + 1))
        return lb_error_set(error, -EHOSTUNREACH, "%s: there is no interface %s", address->host,
                            interface + 1);
    if (family != AF_UNSPEC && rc != EAI_AGAIN)
        return lb_error_set(error, -EHOSTUNREACH, "%s: no IPv%c address", address->host,
                            family == AF_INET ? '4' : '6');
    return lb_error_set(error, -EHOSTUNREACH, "%s: %s", address->host, gai_strerror(rc));
}

int lb_address_ask(const struct lb_address *address, int family, int flags, struct addrinfo **list,
                   struct lb_error *error)
{
    const struct addrinfo hints = {
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | flags,
    };
    int rc = getaddrinfo(address->host[0] ? address->host : NULL, address->port, &hints, list);

    if (rc != 0)
        return tell_unresolved(address, family, rc, error);
    for (const struct addrinfo *info = *list; info; info = info->ai_next) {
        if (!lacks_interface(info))
            return 0;
    }
    freeaddrinfo(*list);
    *list = NULL;
    return lb_error_set(error, -EINVAL,
                        "%s: a link-local address needs its interface: write [%s%%eth0]:%s, with "
                        "the interface's name",
                        address->host, strchr(address->host, ':') ? address->host : "fe80::1",
                        address->port);
}

int lb_address_resolve(const struct lb_address *address, bool passive, struct addrinfo **list,
                       struct lb_error *error)
{
    return lb_address_ask(address, AF_UNSPEC, passive ? AI_PASSIVE : 0, list, error);
}

void lb_unix_name(const struct sockaddr_un *address, socklen_t address_size, char *name,
                  size_t size)
{
    size_t length = address_size - offsetof(struct sockaddr_un, sun_path);

    if (address_size <= offsetof(struct sockaddr_un, sun_path))
        snprintf(name, size, "unix:");
    else if (address->sun_path[0] == '\0')
        snprintf(name, size, "unix:@%.*s", (int)(length - 1), address->sun_path + 1);
    else
        snprintf(name, size, "unix:%.*s", (int)length, address->sun_path);
}

void lb_sockaddr_name(const struct sockaddr *address, char *name, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(name, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
        snprintf(name, size, "%s:%u", host, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        /* A link-local peer is only reachable with its interface. */
        if (in6->sin6_scope_id)
            snprintf(name, size, "[%s%%%u]:%u", host, in6->sin6_scope_id, ntohs(in6->sin6_port));
        else
            snprintf(name, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    }
}
