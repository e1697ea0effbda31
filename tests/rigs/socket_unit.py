#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command as systemd runs a service for its sockets: socket_unit.py FDS NAMES COMMAND...

FDS are numbers of inherited descriptors, NAMES are names of theirs, each with commas between; NAMES
may be empty. The command gets them from descriptor 3 on (sd_listen_fds(3)).
"""

import fcntl
import os
import sys

fds = [int(number) for number in sys.argv[1].split(",")]
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
if sys.argv[2]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[2].replace(",", ":")
# Out of the way first: one may have the number that another is to get.
fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
os.execv(sys.argv[3], sys.argv[3:])
