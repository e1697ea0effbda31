#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command as nobody, who may lock no memory: poor_user.py COMMAND..."""

import os
import pwd
import resource
import sys

# Before: nobody may be unable to get at its path.
command = os.open(sys.argv[1], os.O_PATH)
nobody = pwd.getpwnam("nobody")
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
os.execve(command, sys.argv[1:], os.environ)
