/* SPDX-License-Identifier: MIT */
#include "interface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/if_link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool has_address(const struct ifaddrs *entry, struct in_addr address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)entry->ifa_addr;

    return in && in->sin_family == AF_INET && in->sin_addr.s_addr == address.s_addr;
}

int interface_of(int fd, struct interface *interface)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof(address);
    struct ifaddrs *all, *entry;

    *interface = (struct interface){.device = ""};
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || getifaddrs(&all) < 0)
        return -errno;
    interface->address = address.sin_addr;
    for (entry = all; entry && !has_address(entry, address.sin_addr); entry = entry->ifa_next)
        ;
    if (entry)
        snprintf(interface->device, sizeof(interface->device), "%s", entry->ifa_name);
    freeifaddrs(all);
    return 0;
}

static uint64_t dropped(const struct interface *interface)
{
    struct ifaddrs *all;
    uint64_t count = 0;

    if (getifaddrs(&all) < 0)
        return 0;
    for (const struct ifaddrs *entry = all; entry; entry = entry->ifa_next) {
        const struct rtnl_link_stats *stats = entry->ifa_data;

        if (entry->ifa_addr && entry->ifa_addr->sa_family == AF_PACKET && stats &&
            strcmp(entry->ifa_name, interface->device) == 0)
            count = (uint64_t)stats->rx_dropped + stats->tx_dropped + stats->rx_missed_errors;
    }
    freeifaddrs(all);
    return count;
}

/* /proc/net/snmp has two lines of Tcp: names, then values. */
static uint64_t sent_again(void)
{
    FILE *file = fopen("/proc/net/snmp", "re");
    uint64_t count = 0;
    char line[1024];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %" SCNu64, &count) == 1)
            break;
    fclose(file);
    return count;
}

void losses_read(struct losses *losses, const struct interface *interface)
{
    *losses = (struct losses){.dropped = dropped(interface), .sent_again = sent_again()};
}
