/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

size_t front_text(uint8_t header[FRONT_HEADER_MAX], const char *address, uint16_t port)
{
    const char *family = strchr(address, ':') ? "TCP6" : "TCP4";

    return (size_t)snprintf((char *)header, FRONT_HEADER_MAX, "PROXY %s %s %s %u 1090\r\n", family,
                            address, family[3] == '6' ? "2001:db8::1090" : "203.0.113.90", port);
}

static void write_length(uint8_t *header, size_t size)
{
    header[FRONT_FIXED - 2] = (uint8_t)((size - FRONT_FIXED) >> 8);
    header[FRONT_FIXED - 1] = (uint8_t)(size - FRONT_FIXED);
}

size_t front_make(uint8_t header[FRONT_HEADER_MAX], uint8_t command, uint8_t family,
                  const void *content, size_t size)
{
    memcpy(header, "\r\n\r\n\0\r\nQUIT\n", 12);
    header[12] = command;
    header[13] = family;
    if (size > 0)
        memcpy(header + FRONT_FIXED, content, size);
    write_length(header, FRONT_FIXED + size);
    return FRONT_FIXED + size;
}

size_t front_binary(uint8_t header[FRONT_HEADER_MAX], const char *address, uint16_t port)
{
    uint8_t addresses[36] = {0};
    const uint16_t network_port = htons(port);

    if (inet_pton(AF_INET, address, addresses) == 1) {
        memcpy(addresses + 8, &network_port, 2);
        return front_make(header, FRONT_PROXY, FRONT_TCP4, addresses, 12);
    }
    inet_pton(AF_INET6, address, addresses);
    memcpy(addresses + 32, &network_port, 2);
    return front_make(header, FRONT_PROXY, FRONT_TCP6, addresses, 36);
}

size_t front_add(uint8_t header[FRONT_HEADER_MAX], size_t size, uint8_t type, const void *value,
                 size_t value_size)
{
    header[size++] = type;
    header[size++] = (uint8_t)(value_size >> 8);
    header[size++] = (uint8_t)value_size;
    if (value_size > 0)
        memcpy(header + size, value, value_size);
    write_length(header, size + value_size);
    return size + value_size;
}

/* A bit at a time. */
static uint32_t crc32c(const uint8_t *data, size_t size)
{
    uint32_t sum = UINT32_MAX;

    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint32_t odd = (sum ^ data[bit / 8] >> bit % 8) & 1;

        sum = sum >> 1 ^ (odd ? UINT32_C(0x82f63b78) : 0);
    }
    return ~sum;
}

size_t front_add_sum(uint8_t header[FRONT_HEADER_MAX], size_t size)
{
    uint32_t sum = 0;

    size = front_add(header, size, FRONT_TLV_SUM, &sum, sizeof(sum));
    sum = htonl(crc32c(header, size));
    memcpy(header + size - sizeof(sum), &sum, sizeof(sum));
    return size;
}
