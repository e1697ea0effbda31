/* SPDX-License-Identifier: MIT */
/* Any address or network as a person might write it; and any socket's address as the kernel might
 * tell it. */
#include "fuzz.h"

#include "address.h"
#include "cidr.h"
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was understood, written as a person would. */
static void write_address(const struct lb_address *address, bool brackets, char *text, size_t size)
{
    switch (address->kind) {
    case LB_ADDRESS_TCP:
        snprintf(text, size, brackets ? "[%s]:%s" : "%s:%s", address->host, address->port);
        break;
    case LB_ADDRESS_UNIX:
        lb_unix_name(&address->un, address->un_size, text, size);
        break;
    case LB_ADDRESS_FD:
        snprintf(text, size, "fd:%d", address->fd);
        break;
    }
}

static void check_good(const char *text, const struct lb_address *address)
{
    struct lb_address again;
    struct lb_error error = {LB_ERROR_INIT};
    char written[600];

    write_address(address, text[0] == '[', written, sizeof(written));
    if (lb_address_parse(&again, written, &error) != 0)
        fuzz_fail("\"%s\" was taken, but not \"%s\": %s", text, written, error.text);
    if (memcmp(&again, address, sizeof(again)) != 0)
        fuzz_fail("\"%s\" is not \"%s\"", text, written);
}

static void check_error(const char *text, int rc, const struct lb_error *error)
{
    if (rc != -EINVAL || error->code != rc || strlen(error->text) == 0)
        fuzz_fail("\"%s\": error %d, \"%s\"", text, rc, error->text);
    if (strncmp(error->text, text, strnlen(text, 300)) != 0)
        fuzz_fail("\"%s\" is not named by \"%s\"", text, error->text);
}

static void check_address(const char *text)
{
    struct lb_address address;
    struct lb_error error = {LB_ERROR_INIT};
    int rc = lb_address_parse(&address, text, &error);

    if (rc != lb_address_check(text, NULL))
        fuzz_fail("\"%s\": checked as what it is not", text);
    if (rc == 0)
        check_good(text, &address);
    else
        check_error(text, rc, &error);
}

/* ---- networks -------------------------------------------------------------------------------- */

static unsigned bit_of(const uint8_t *address, unsigned bit)
{
    return address[bit / 8] >> (7 - bit % 8) & 1;
}

/* What lb_cidr_has means, bit by bit. */
static bool has(const struct lb_cidr *network, sa_family_t family, const uint8_t *address)
{
    bool same = network->family == family;

    for (unsigned bit = 0; same && bit < network->prefix; bit++)
        same = bit_of(network->address, bit) == bit_of(address, bit);
    return same;
}

/* An address in which any one bit is another is in the network if that bit is behind the prefix. */
static void check_members(const char *text, const struct lb_cidr *network)
{
    unsigned bits = network->family == AF_INET ? 32 : 128;

    if (network->prefix > bits || !lb_cidr_has(network, network->family, network->address))
        fuzz_fail("\"%s\" is not in itself", text);
    for (unsigned bit = 0; bit < bits; bit++) {
        uint8_t other[16];

        memcpy(other, network->address, sizeof(other));
        other[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        if (lb_cidr_has(network, network->family, other) != has(network, network->family, other))
            fuzz_fail("\"%s\": bit %u is not as its prefix says", text, bit);
    }
}

static void check_network(const char *text)
{
    struct lb_cidr network, again;
    struct lb_error error = {LB_ERROR_INIT};
    int rc = lb_cidr_parse(&network, text, &error);
    char written[INET6_ADDRSTRLEN + 8];
    size_t length;

    if (rc < 0) {
        check_error(text, rc, &error);
        return;
    }
    check_members(text, &network);
    inet_ntop(network.family, network.address, written, sizeof(written));
    length = strlen(written);
    snprintf(written + length, sizeof(written) - length, "/%u", network.prefix);
    if (lb_cidr_parse(&again, written, &error) != 0)
        fuzz_fail("\"%s\" was taken, but not \"%s\": %s", text, written, error.text);
    if (memcmp(&again, &network, sizeof(again)) != 0)
        fuzz_fail("\"%s\" is not \"%s\"", text, written);
}

/* ---- from the kernel ------------------------------------------------------------------------- */

/* The bytes as a socket's address. */
static void check_sockaddr(const uint8_t *data, size_t size)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_un un = {0};
    uint8_t address[16];
    union lb_peer peer;
    char name[LB_PEER_SIZE], unix_name[LB_UNIX_NAME_SIZE];
    size_t part = size < sizeof(storage) ? size : sizeof(storage);

    memcpy(&storage, data, part);
    storage.ss_family = size > 0 && data[0] % 2 ? AF_INET6 : AF_INET;
    lb_sockaddr_name((struct sockaddr *)&storage, name, sizeof(name));
    if (!strrchr(name, ':') || strlen(name) >= sizeof(name) - 1)
        fuzz_fail("a peer's name was cut: \"%s\"", name);
    memcpy(&peer, &storage, sizeof(peer));
    if (lb_peer_address(&peer, address) != (strchr(name, '[') ? AF_INET6 : AF_INET))
        fuzz_fail("%s: admitted as another family", name);
    memcpy(&peer, &storage, sizeof(peer));
    if (lb_peer_address(&peer, address) != (strchr(name, '[') ? AF_INET6 : AF_INET))
        fuzz_fail("%s: admitted as another family", name);
    part = size < sizeof(un) ? size : sizeof(un);
    memcpy(&un, data, part);
    un.sun_family = AF_UNIX;
    lb_unix_name(&un, (socklen_t)part, unix_name, sizeof(unix_name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    check_address(text);
    check_network(text);
    if (size > 0)
        check_sockaddr(data, size);
    free(text);
    return 0;
}
