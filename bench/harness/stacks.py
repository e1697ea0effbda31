# SPDX-License-Identifier: MIT
"""Stacks out of `perf script`, and what they say: hottest functions, where the time goes."""

import collections
import re

FRAME = re.compile(r"^\s+([0-9a-f]+)\s+(.*?)\s+\(([^()]*(?:\([^()]*\))?[^()]*)\)$")
HEADER = re.compile(r"^(\S.*?)\s+(-?\d+)(?:/(\d+))?\s*:?.*$")

# From the innermost frame outwards, the first name that fits an area takes the sample. The names
# are those of Linux 6.x; what fits nowhere counts as "other".
AREAS = (
    ("copy to user", r"copy_to_iter|copy_to_user|copy_user|rep_movs|skb_copy_datagram|"
                     r"simple_copy|memcpy_to|_copy_from_iter"),
    ("free and allocate", r"skb_release|__?kfree_skb|skb_free|kmem_cache_(alloc|free)|free_unref|"
                          r"__free_pages|put_page|folio|alloc_pages|page_frag|skb_attempt_defer|"
                          r"get_page_from|kfree|kmalloc|clear_page|__alloc|napi_pp"),
    ("wake and schedule", r"^__schedule|^schedule|try_to_wake|ttwu|select_task|enqueue_task|"
                          r"dequeue_task|pick_next|finish_task_switch|__wake_up|ep_poll_callback|"
                          r"default_wake|update_curr|set_next_|put_prev_|hrtimer|resched|"
                          r"native_safe_halt|io_poll_wake|io_req_task_work|smp_call_function|"
                          r"_idle"),
    ("network stack", r"^tcp_|^ip_|^ipv6_|^inet|^__tcp|^net_rx|^__netif|^dev_|^__dev|^process_b|"
                      r"^__napi|^sock_|^sk_|^__sk_|^__inet|^nf_|^loopback|^skb_|^release_sock|"
                      r"^lock_sock|^unix_|^bbr|^cubic|^bictcp|softirq"),
    ("files", r"ext4|jbd2|iomap|generic_perform|pagecache|filemap|vfs_write|splice|pipe_|"
              r"blk_|bio_|submit_|xfs_|shmem|writeback|do_fsync"),
    ("io_uring", r"^io_|^__io_|io_uring"),
    ("poll and wait", r"^ep_|^do_epoll|epoll|^poll_|do_poll|^select|do_sys_poll|futex"),
    ("system call entry", r"entry_SYSCALL|syscall_|do_syscall|srso|retbleed|__x64_sys|"
                          r"exit_to_user|untrain_ret|^fput|fdget|^__fget|x64_sys_call"),
)
_AREAS = tuple((name, re.compile(pattern)) for name, pattern in AREAS)


class Sample:
    """One sample: where it was taken, and its frames from the outermost to the innermost."""

    def __init__(self, command, pid, frames):
        self.command = command
        self.pid = pid
        self.frames = frames


class Frame(collections.namedtuple("Frame", "name kernel")):
    __slots__ = ()


def parse(lines):
    """Samples of `perf script -F comm,pid,tid,ip,sym,dso` output."""
    samples = []
    header = None
    frames = []

    def finish():
        if header and frames:
            samples.append(Sample(*header, tuple(reversed(frames))))

    for line in lines:
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            finish()
            header, frames = None, []
        elif line[0] not in " \t":
            finish()
            header, frames = _header(line), []
        else:
            frame = _frame(line)
            if frame:
                frames.append(frame)
    finish()
    return samples


def _header(line):
    found = HEADER.match(line)
    if not found:
        return None
    return found.group(1), int(found.group(2))


def _frame(line):
    found = FRAME.match(line)
    if not found:
        return None
    address, symbol, dso = found.groups()
    # A kernel module shows as "[name]"; the kernel as "[kernel.kallsyms]" or "[guest.kernel...]".
    kernel = dso.startswith("[") and dso not in ("[vdso]", "[vsyscall]", "[unknown]")
    kernel = kernel or int(address, 16) >> 63 == 1
    name = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    if name == "[unknown]":
        name = f"[{dso.rsplit('/', 1)[-1].strip('[]')}]"
    return Frame(name, kernel)


def of_process(samples, pid):
    return [sample for sample in samples if sample.pid == pid]


def fold(samples):
    """How often each stack (a tuple of frames) was seen."""
    return collections.Counter(sample.frames for sample in samples)


def hottest(samples):
    """[(frame, self share, inclusive share)] by self share, largest first."""
    own = collections.Counter(sample.frames[-1] for sample in samples)
    inside = collections.Counter(frame for sample in samples for frame in set(sample.frames))
    total = len(samples)
    return [(frame, own[frame] / total, inside[frame] / total)
            for frame in sorted(inside, key=lambda frame: (-own[frame], -inside[frame], frame))]


def area(frames):
    """The area that a stack's time belongs to."""
    for frame in reversed(frames):
        if not frame.kernel:
            break
        for name, pattern in _AREAS:
            if pattern.search(frame.name):
                return name
    return "other kernel" if frames[-1].kernel else "user space"


def areas(samples):
    """[(area, share)] by share, largest first."""
    counted = collections.Counter(area(sample.frames) for sample in samples)
    return [(name, count / len(samples)) for name, count in counted.most_common()]
