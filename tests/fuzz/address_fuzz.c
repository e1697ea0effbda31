/* SPDX-License-Identifier: MIT */
/* Any address as a person might write it; and any socket's address as the kernel might tell it. */
#include "fuzz.h"

#include "address.h"

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
    struct lb_error error;
    char written[600];

    write_address(address, text[0] == '[', written, sizeof(written));
    if (lb_address_parse(&again, written, &error) != 0)
        fuzz_fail("\"%s\" was taken, but not \"%s\": %s", text, written, error.text);
    if (memcmp(&again, address, sizeof(again)) != 0)
        fuzz_fail("\"%s\" is not \"%s\"", text, written);
}

static void check_text(const char *text)
{
    struct lb_address address;
    struct lb_error error = {0};
    int rc = lb_address_parse(&address, text, &error);

    if (rc != lb_address_check(text, NULL))
        fuzz_fail("\"%s\": checked as what it is not", text);
    if (rc == 0)
        check_good(text, &address);
    else if (rc != -EINVAL || error.code != rc || strlen(error.text) == 0)
        fuzz_fail("\"%s\": error %d, \"%s\"", text, rc, error.text);
    else if (strncmp(error.text, text, strnlen(text, 300)) != 0)
        fuzz_fail("\"%s\" is not named by \"%s\"", text, error.text);
}

/* The bytes as a socket's address. */
static void check_sockaddr(const uint8_t *data, size_t size)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_un un = {0};
    char name[LB_PEER_SIZE], unix_name[LB_UNIX_NAME_SIZE];
    size_t part = size < sizeof(storage) ? size : sizeof(storage);

    memcpy(&storage, data, part);
    storage.ss_family = size > 0 && data[0] % 2 ? AF_INET6 : AF_INET;
    lb_sockaddr_name((struct sockaddr *)&storage, name, sizeof(name));
    if (!strrchr(name, ':') || strlen(name) >= sizeof(name) - 1)
        fuzz_fail("a peer's name was cut: \"%s\"", name);
    part = size < sizeof(un) ? size : sizeof(un);
    memcpy(&un, data, part);
    un.sun_family = AF_UNIX;
    lb_unix_name(&un, (socklen_t)part, unix_name, sizeof(unix_name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    check_text(text);
    if (size > 0)
        check_sockaddr(data, size);
    free(text);
    return 0;
}
