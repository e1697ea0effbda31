# SPDX-License-Identifier: MIT
"""The runtimes that people choose between, as contenders: ../contenders/README.md says what each
is, and how it is called."""

import pathlib
import shutil

from harness.programs import Program

NODE = pathlib.Path(__file__).resolve().parent.parent / "contenders" / "node" / "receiver.js"


class Runtime(Program):
    """command: its words before the port; needs: files besides the first of them."""

    def __init__(self, name, what, command, absent, needs=()):
        counts = dict.fromkeys(("bulk", "fanin-64", "fanin-1000", "short"), self.call)
        super().__init__(name, what, {**counts, "latency": self.tell_latencies},
                         needs=str(command[0]))
        self.command = command
        self.absent = absent
        self.files = needs

    def call(self, job, *tells):
        return [*self.command, job.port, str(job.streams), *(["print"] if job.checked else tells)]

    def tell_latencies(self, job):
        return self.call(job, "latencies")

    def missing(self):
        there = shutil.which(self.needs) and all(path.exists() for path in self.files)
        return "" if there else self.absent


def runtimes(build):
    """All of them; build is the directory that they were built in."""
    def built(name, what, folder, *needs):
        folder = pathlib.Path(build) / "bench" / "contenders" / folder
        return Runtime(name, what, [folder / name],
                       "not built (tools/setup bench-runtimes, -Dbench_runtimes=true)",
                       [folder / need for need in needs])

    return (
        built("asio-epoll", "Asio on epoll, a session for each connection", "asio"),
        built("asio-uring", "Asio on io_uring, a session for each connection", "asio"),
        built("go", "Go, a goroutine for each connection", "go"),
        Runtime("node", "Node.js, net.createServer", ["node", NODE],
                "node is not installed (tools/setup bench-runtimes)", [NODE]),
        built("netty", "Netty on NIO, a boss and a worker", "netty", "Receiver.class"),
        built("tokio", "tokio, a task for each connection", "tokio"),
    )
