# SPDX-License-Identifier: MIT
"""Programs that stand between a sender and the server. As a program this is one of them, NAME PORT,
before a server at that port of 127.0.0.1, until standard input ends: it tells in a line of JSON its
own port and process."""

import contextlib
import csv
import getpass
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import types

from harness import DEADLINE, Capture, Stay, exchange, program, temporary_directory
from plain import make_file


class Front:
    """A process that passes connections to a port of its own on to the server."""

    def __init__(self, test, command, **popen):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        start_new_session=True, **popen)
        test.addCleanup(self.stop)
        self.errors = Capture(self.process.stderr)

    def die(self):
        """With all that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def stop(self):
        """A signal that ssh gets just before it waits is seen after its next event, which here is
        another signal."""
        until = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            if time.monotonic() > until:
                raise AssertionError(f"{self.process.args} does not end")
        self.errors.thread.join(DEADLINE)
        self.process.stderr.close()


class Socat(Front):
    def __init__(self, test, server):
        target = "UNIX-CONNECT:" + server.path if server.path else f"TCP:127.0.0.1:{server.port}"
        super().__init__(test, [program("socat"), "-d", "-d", "-d",
                                "TCP-LISTEN:0,bind=127.0.0.1,fork", target])
        self.errors.wait_for(self.find_port, "socat's port")
        self.port = int(self.find_port(self.errors.data)[1])

    @staticmethod
    def find_port(data):
        return re.search(rb" listening on AF=2 127\.0\.0\.1:(\d+)\n", data)


class Nginx(Front):
    MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def __init__(self, test, server, options="", half_close=True):
        target = "unix:" + server.path if server.path else f"127.0.0.1:{server.port}"
        module = f"load_module {self.MODULE};" if os.path.exists(self.MODULE) else ""
        directory = temporary_directory(test)
        with socket.socket() as holder:  # of a port that nginx can share, and nobody else
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
            path = make_file(test, f"""{module}
                daemon off; master_process off; pid {directory}/pid; error_log stderr notice;
                events {{}}
                stream {{ server {{
                    listen 127.0.0.1:{self.port} reuseport; proxy_pass {target};
                    proxy_half_close {"on" if half_close else "off"}; # off: no answer behind an EOF
                    {options}
                }} }}""".encode())
            super().__init__(test, [program("nginx"), "-e", "stderr", "-c", path])
            self.errors.wait_for(lambda data: b" event method" in data, "nginx, ready")


class HAProxy(Front):
    """options are those of each of its servers, which are all the same one."""

    def __init__(self, test, server, options="", servers=1, patience=int(DEADLINE)):
        self.control = os.path.join(temporary_directory(test), "control")
        target = "unix@" + server.path if server.path else f"127.0.0.1:{server.port}"
        with socket.create_server(("127.0.0.1", 0)) as listener, \
             socket.create_server(self.control, family=socket.AF_UNIX) as control:
            self.port = listener.getsockname()[1]
            path = make_file(test, "\n".join((
                "global", f"stats socket fd@{control.fileno()}",
                "defaults", "mode tcp", *(f"timeout {what} {patience}s" for what in
                                          ("connect", "client", "server")),
                "listen front", f"bind fd@{listener.fileno()}",
                *(f"server behind{number} {target} {options}" for number in range(servers)),
                "")).encode())
            super().__init__(test, [program("haproxy"), "-db", "-f", path],
                             pass_fds=[listener.fileno(), control.fileno()])

    def table(self):
        """What its own statistics say of each server."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(self.control)
            text = exchange(connection, b"show stat\n").decode()
        rows = csv.DictReader(text.lstrip("# ").strip().splitlines())
        return [row for row in rows if row["svname"].startswith("behind")]


class Ssh(Front):
    """ssh -L, with an sshd for itself that needs no port."""

    def __init__(self, test, server):
        directory = temporary_directory(test)
        keys = [os.path.join(directory, name) for name in ("user", "host")]
        for key in keys:
            subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key],
                           check=True, timeout=DEADLINE)
        with socket.create_server(("127.0.0.1", 0)) as holder:  # if another takes it, ssh fails
            self.port = holder.getsockname()[1]
        target = server.path or f"127.0.0.1:{server.port}"
        super().__init__(test, [
            program("ssh"), "-F", "none", "-v", "-N", "-i", keys[0],
            "-o", "ProxyCommand=" + shlex.join(self.daemon(*keys)),
            "-o", "ExitOnForwardFailure=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null",
            "-L", f"127.0.0.1:{self.port}:{target}", getpass.getuser() + "@sshd"])
        self.errors.wait_for(lambda data: b" Entering interactive session" in data, "ssh, ready")

    @staticmethod
    def daemon(user, host):
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where none was started since the boot
        return [program("sshd"), "-i", "-e", "-f", "none", "-h", host, "-o", "StrictModes=no",
                "-o", f"AuthorizedKeysFile={user}.pub", "-o", "PidFile=none"]


def main():
    begin = {front.__name__.lower(): front for front in (Socat, Nginx, HAProxy, Ssh)}[sys.argv[1]]
    with Stay() as stay:
        front = begin(stay, types.SimpleNamespace(path=None, port=int(sys.argv[2])))
        print(json.dumps({"port": front.port, "processes": [front.process.pid]}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
