/* SPDX-License-Identifier: MIT */
#include "facts.h"

#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, PATTERN_SIZE = 256 };

/* No name of a person or a host is in these. %s: the device. */
static const char *const files[] = {
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/etc/os-release",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "/sys/devices/system/cpu/vulnerabilities/*",
    "/proc/sys/net/ipv4/tcp_congestion_control",
    "/proc/sys/net/ipv4/tcp_[rw]mem",
    "/proc/sys/net/core/[rw]mem_max",
    "/proc/sys/net/core/busy_read",
    "/proc/sys/net/core/netdev_budget",
    "/sys/class/net/%s/speed",
    "/sys/class/net/%s/threaded",
    "/sys/class/net/%s/gro_flush_timeout",
    "/sys/class/net/%s/napi_defer_hard_irqs",
    "/sys/class/net/%s/device/numa_node",
    "/sys/class/net/%s/queues/rx-*/rps_cpus",
    "/sys/class/net/%s/queues/tx-*/xps_cpus",
    NULL,
};

static void add_file(json_t *found, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size;
    char text[TEXT_MAX];

    if (fd < 0)
        return;
    size = read(fd, text, sizeof(text));
    close(fd);
    if (size >= 0)
        json_object_set_new(found, path, json_stringn(text, (size_t)size));
}

static void for_each(const char *pattern, const char *device,
                     void (*visit)(json_t *found, const char *path), json_t *found)
{
    char path[PATTERN_SIZE];
    glob_t matches;

    if (strstr(pattern, "%s") && !device[0])
        return;
    /* Only %s, and only one: those of the tables here. */
    snprintf(path, sizeof(path), "%.*s%s%s", (int)strcspn(pattern, "%"), pattern,
             strchr(pattern, '%') ? device : "",
             strchr(pattern, '%') ? strchr(pattern, '%') + 2 : "");
    if (glob(path, 0, NULL, &matches) != 0)
        return;
    for (size_t i = 0; i < matches.gl_pathc; i++)
        visit(found, matches.gl_pathv[i]);
    globfree(&matches);
}

/* An interrupt of the device, by its number: on which cores it may come. */
static void add_interrupt(json_t *found, const char *path)
{
    char affinity[PATH_MAX], copy[PATH_MAX];

    snprintf(copy, sizeof(copy), "%s", path);
    snprintf(affinity, sizeof(affinity), "/proc/irq/%.20s/smp_affinity_list", basename(copy));
    add_file(found, affinity);
}

static json_t *links_of(const char *device)
{
    char path[PATTERN_SIZE], where[PATH_MAX];
    json_t *found = json_object();
    ssize_t size;

    snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", device);
    size = device[0] ? readlink(path, where, sizeof(where) - 1) : -1;
    if (size > 0) {
        where[size] = '\0';
        json_object_set_new(found, path, json_string(basename(where)));
    }
    return found;
}

static json_t *offloads_of(const char *device)
{
    static const struct {
        const char *name;
        uint32_t command;
    } offloads[] = {
        {"rx-checksum", ETHTOOL_GRXCSUM},
        {"tx-checksum", ETHTOOL_GTXCSUM},
        {"tso", ETHTOOL_GTSO},
        {"gso", ETHTOOL_GGSO},
        {"gro", ETHTOOL_GGRO},
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    json_t *found = json_object();

    for (size_t i = 0; fd >= 0 && device[0] && i < sizeof(offloads) / sizeof(offloads[0]); i++) {
        struct ethtool_value value = {.cmd = offloads[i].command};
        struct ifreq request = {.ifr_data = (void *)&value};

        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
        if (ioctl(fd, SIOCETHTOOL, &request) == 0)
            json_object_set_new(found, offloads[i].name, json_boolean(value.data));
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/* Not of /sys, which may show another network namespace. 0: not known. */
static int mtu_of(const char *device)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
    struct ifreq request = {.ifr_mtu = 0};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
    if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0)
        mtu = request.ifr_mtu;
    if (fd >= 0)
        close(fd);
    return mtu;
}

json_t *facts_gather(const struct interface *interface)
{
    const char *device = interface->device;
    json_t *found = json_object();
    struct utsname name;

    uname(&name);
    for (const char *const *pattern = files; *pattern; pattern++)
        for_each(*pattern, device, add_file, found);
    for_each("/sys/class/net/%s/device/msi_irqs/*", device, add_interrupt, found);
    return json_pack("{s:o, s:o, s:s, s:i, s:o, s:i, s:s, s:s}", "files", found, /* */
                     "links", links_of(device), "device", device,                /* */
                     "mtu", mtu_of(device), "offloads", offloads_of(device),     /* */
                     "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "kernel", name.release,
                     "architecture", name.machine);
}
