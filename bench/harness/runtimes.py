# SPDX-License-Identifier: MIT
"""The runtimes that people choose between, as contenders: ../contenders/README.md says what each
is, and how it is called."""

import pathlib
import shutil

from harness.programs import Program

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "contenders"


class Runtime(Program):
    """command: its words before the port."""

    def __init__(self, name, what, command, absent):
        super().__init__(name, what, {workload: self.call for workload in
                                      ("bulk", "fanin-64", "fanin-1000")}, needs=str(command[0]))
        self.command = command
        self.absent = absent

    def call(self, job):
        prints = ["print"] if job.checked and job.streams == 1 else []
        return [*self.command, job.port, str(job.streams), *prints]

    def missing(self):
        return "" if shutil.which(self.needs) else self.absent


def runtimes(build):
    """All of them; build is the directory that they were built in."""
    def built(name, what, folder):
        return Runtime(name, what, [pathlib.Path(build) / "bench" / "contenders" / folder / name],
                       "not built (tools/setup bench-runtimes, -Dbench_runtimes=true)")

    return (
        built("asio-epoll", "Asio on epoll, a session for each connection", "asio"),
        built("asio-uring", "Asio on io_uring, a session for each connection", "asio"),
        built("go", "Go, a goroutine for each connection", "go"),
        Runtime("node", "Node.js, net.createServer", ["node", SOURCES / "node" / "receiver.js"],
                "node is not installed (tools/setup bench-runtimes)"),
        built("netty", "Netty on NIO, a boss and a worker", "netty"),
        built("tokio", "tokio, a task for each connection", "tokio"),
    )
