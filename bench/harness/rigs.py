# SPDX-License-Identifier: MIT
"""Programs of tests/rigs that stay while something is measured: a store, a front."""

import json
import os
import pathlib
import subprocess
import sys

RIGS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "rigs"
TICK = os.sysconf("SC_CLK_TCK")


class Rig:
    """Begins one, and has what it tells of itself."""

    def __init__(self, lastbyte, name, *arguments, patience=120):
        environment = {**os.environ, "LASTBYTE": lastbyte, "PYTHONDONTWRITEBYTECODE": "1",
                       "LASTBYTE_TEST_DEADLINE": str(patience)}
        self.process = subprocess.Popen(
            [sys.executable, str(RIGS / (name + ".py")), *arguments], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"tests/rigs/{name}.py: can't begin; tools/setup test test-s3 "
                             "installs what it needs")
        self.told = json.loads(line)

    def say(self, line):
        """Returns what it answers, once it has done that."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def cpu(self):
        """What its processes have used so far, with those that they have started and seen end."""
        return sum(map(cpu_of, self.told["processes"]))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_of(process):
    """In seconds."""
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def cpu_so_far(process):
    """Of its threads that there are, in seconds, and more exactly."""
    total = 0
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def idle_so_far():
    """How long the machine's cores have had nothing to do, in seconds, all together."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()
    return sum(map(int, fields[4:6])) / TICK
