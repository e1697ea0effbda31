#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command where io_uring is denied, as containers do: without_io_uring.py ERRNO COMMAND...

A seccomp filter answers io_uring_setup with the named errno (EPERM, ENOSYS, ...).
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_ALLOW = 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
IO_URING_SETUP = 425  # the same number on every architecture


def deny(code):
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_WORD, 0, 0, 0),  # the system call's number
        (JUMP_IF_EQUAL, 0, 1, IO_URING_SETUP),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | code),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW)))
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header)):
        padded = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments[1:]]
        padded += [ctypes.c_ulong(0)] * (4 - len(padded))
        if libc.prctl(arguments[0], *padded) != 0:
            sys.exit("without_io_uring.py: prctl: " + os.strerror(ctypes.get_errno()))


deny(getattr(errno, sys.argv[1]))
os.execvp(sys.argv[2], sys.argv[2:])
