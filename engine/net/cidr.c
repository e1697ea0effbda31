/* SPDX-License-Identifier: MIT */
#include "cidr.h"

#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_BITS = 96 }; /* of ::ffff:0:0/96, before an IPv4 address */

static unsigned bits_of(sa_family_t family)
{
    return family == AF_INET ? 32 : 128;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned count)
{
    unsigned whole = count / 8, rest = count % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static void clear_behind(uint8_t *address, unsigned prefix, unsigned bits)
{
    for (unsigned bit = prefix; bit < bits; bit++)
        address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* Of an address and a prefix that may be too long for it. */
static int parse_parts(struct lb_cidr *network, const char *host, const char *prefix)
{
    if (inet_pton(AF_INET, host, network->address) == 1)
        network->family = AF_INET;
    else if (inet_pton(AF_INET6, host, network->address) == 1)
        network->family = AF_INET6;
    else
        return -EINVAL;
    network->prefix = bits_of(network->family);
    if (!prefix)
        return 0;
    if (prefix[0] == '\0' || prefix[strspn(prefix, "0123456789")] != '\0' || strlen(prefix) > 3)
        return -EINVAL;
    network->prefix = (unsigned)strtoul(prefix, NULL, 10);
    return network->prefix <= bits_of(network->family) ? 0 : -ERANGE;
}

static void unmap(struct lb_cidr *network)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (network->family != AF_INET6 || network->prefix < MAPPED_BITS ||
        memcmp(network->address, mapped, sizeof(mapped)) != 0)
        return;
    network->family = AF_INET;
    network->prefix -= MAPPED_BITS;
    memmove(network->address, network->address + 12, 4);
    memset(network->address + 4, 0, 12);
}

static int tell_stray_bits(const struct lb_cidr *network, const char *text, struct lb_error *error)
{
    struct lb_cidr meant = *network;
    char name[INET6_ADDRSTRLEN];

    clear_behind(meant.address, meant.prefix, bits_of(meant.family));
    inet_ntop(meant.family, meant.address, name, sizeof(name));
    return lb_error_set(error, -EINVAL, "%s: has bits behind its prefix; write %s/%u", text, name,
                        meant.prefix);
}

int lb_cidr_parse(struct lb_cidr *network, const char *text, struct lb_error *error)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    uint8_t cleared[16];
    int rc = -EINVAL;

    *network = (struct lb_cidr){0};
    if (size < sizeof(host)) {
        snprintf(host, sizeof(host), "%.*s", (int)size, text);
        rc = parse_parts(network, host, slash ? slash + 1 : NULL);
    }
    if (rc == -ERANGE)
        return lb_error_set(error, -EINVAL, "%s: a prefix of %u bits; there are 0 to %u", text,
                            network->prefix, bits_of(network->family));
    if (rc < 0)
        return lb_error_set(error, -EINVAL,
                            "%s: not a network; write 192.0.2.0/24, 2001:db8::/32 or one address",
                            text);
    unmap(network);
    memcpy(cleared, network->address, sizeof(cleared));
    clear_behind(cleared, network->prefix, bits_of(network->family));
    if (memcmp(cleared, network->address, sizeof(cleared)) != 0)
        return tell_stray_bits(network, text, error);
    return 0;
}

int lb_network_check(const char *text, struct lb_error *error)
{
    struct lb_cidr network;

    if (!text)
        return lb_error_set(error, -EINVAL, "no network");
    return lb_cidr_parse(&network, text, error);
}

bool lb_cidr_has(const struct lb_cidr *network, sa_family_t family, const uint8_t address[16])
{
    return network->family == family && same_bits(network->address, address, network->prefix);
}

int lb_cidr_list_add(struct lb_cidr_list *list, const char *text, struct lb_error *error)
{
    struct lb_cidr *items = realloc(list->items, (list->count + 1) * sizeof(*items));
    int rc;

    if (!items)
        return lb_error_set(error, -ENOMEM, "out of memory");
    list->items = items;
    rc = lb_cidr_parse(&items[list->count], text, error);
    list->count += rc == 0;
    return rc;
}

void lb_cidr_list_done(struct lb_cidr_list *list)
{
    free(list->items);
    *list = (struct lb_cidr_list){0};
}

bool lb_cidr_list_has(const struct lb_cidr_list *list, sa_family_t family,
                      const uint8_t address[16])
{
    for (size_t i = 0; i < list->count; i++)
        if (lb_cidr_has(&list->items[i], family, address))
            return true;
    return false;
}
