/* SPDX-License-Identifier: MIT */
#include "landlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's ABI (include/uapi/linux/landlock.h), of which Debian 12 has the first two versions;
 * the C library has no wrappers. */
struct ruleset {
    uint64_t handled_fs;
    uint64_t handled_net; /* ABI 4 */
    uint64_t scoped;      /* ABI 6 */
};

struct __attribute__((packed)) path_beneath {
    uint64_t allowed;
    int32_t parent_fd;
};

enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };

enum {
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_REG = 1 << 8,
    FS_REFER = 1 << 13,    /* ABI 2 */
    FS_TRUNCATE = 1 << 14, /* ABI 3 */
    FS_ABI_1 = FS_REFER - 1,
    FS_ABI_2 = FS_ABI_1 | FS_REFER,
    FS_ABI_3 = FS_ABI_2 | FS_TRUNCATE,
    FS_ABI_5 = FS_ABI_3 | 1 << 15 /* ioctl on devices */
};

enum { NET_BIND_TCP = 1, NET_CONNECT_TCP = 2 };
enum { SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 };

/* The version of the kernel's ABI, or -errno. */
static int version(void)
{
    long rc = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

    return rc < 0 ? -errno : (int)rc;
}

int landlock_check(void)
{
    int rc = version();

    return rc < 0 ? rc : 0;
}

const char *landlock_why(int error)
{
    switch (error) {
    case -ENOSYS:
        return "this kernel has no Landlock (Linux 5.13), or a seccomp filter hides it";
    case -EOPNOTSUPP:
        return "Landlock was not enabled when the kernel booted; add landlock to its parameter "
               "lsm=";
    case -EPERM:
        return "denied: it needs no-new-privs, and no seccomp filter that forbids it";
    default:
        return "the kernel refuses it";
    }
}

static uint64_t handled_fs(int abi)
{
    if (abi >= 5)
        return FS_ABI_5;
    if (abi >= 3)
        return FS_ABI_3;
    return abi == 2 ? FS_ABI_2 : FS_ABI_1;
}

int landlock_open(bool network)
{
    int abi = version();
    struct ruleset rules = {.handled_fs = handled_fs(abi)};
    size_t size = offsetof(struct ruleset, handled_net);
    long rc;

    if (abi < 0)
        return abi;
    if (abi >= 4) {
        rules.handled_net = network ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
        size = offsetof(struct ruleset, scoped);
    }
    if (abi >= 6) {
        rules.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        size = sizeof(rules);
    }
    rc = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    return rc < 0 ? -errno : (int)rc;
}

int landlock_allow(int rules_fd, int directory_fd, enum landlock_use use)
{
    static const uint64_t uses[] = {
        [LANDLOCK_USE_FILES] = FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_FILE |
                               FS_MAKE_REG | FS_REFER | FS_TRUNCATE,
        [LANDLOCK_USE_REMOVE] = FS_REMOVE_FILE,
        [LANDLOCK_USE_READ] = FS_READ_FILE,
    };
    struct path_beneath rule = {.allowed = uses[use] & handled_fs(version()),
                                .parent_fd = directory_fd};
    long rc = syscall(SYS_landlock_add_rule, rules_fd, RULE_PATH_BENEATH, &rule, 0);

    return rc < 0 ? -errno : 0;
}

int landlock_enforce(int rules_fd)
{
    return syscall(SYS_landlock_restrict_self, rules_fd, 0) < 0 ? -errno : 0;
}
