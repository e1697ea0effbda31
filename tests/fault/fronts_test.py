# SPDX-License-Identifier: MIT
"""Family 16: fronts. A proxy between sender and server makes an ordinary end of a reset: only seals
tell that something is missing, and with them nothing cut is published."""

import getpass
import os
import re
import shlex
import signal
import socket
import subprocess

from harness import (DEADLINE, LASTBYTE, Capture, main, program, reset, run, seeded,
                     temporary_directory, until)
from peers import Case, Place, everywhere
from plain import make_file

CUT = 100_000
HELD = 300  # what a seal needs, at most
DATA = seeded(300_000)


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
        self.process.terminate()
        self.process.wait(DEADLINE)
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

    def __init__(self, test, server):
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
                    proxy_half_close on; # or no answer comes back behind an EOF
                }} }}""".encode())
            super().__init__(test, [program("nginx"), "-e", "stderr", "-c", path])
            self.errors.wait_for(lambda data: b" event method" in data, "nginx, ready")


class HAProxy(Front):
    def __init__(self, test, server):
        target = "unix@" + server.path if server.path else f"127.0.0.1:{server.port}"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            path = make_file(test, "\n".join((
                "defaults", "mode tcp", *(f"timeout {what} {int(DEADLINE)}s" for what in
                                          ("connect", "client", "server")),
                "listen front", f"bind fd@{listener.fileno()}", f"server behind {target}",
                "")).encode())
            super().__init__(test, [program("haproxy"), "-db", "-f", path],
                             pass_fds=[listener.fileno()])


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


class Cases:
    """Each is a test of each front; see below."""

    front = None

    def passes_resets(self, transport):
        """HAProxy does, where there are any."""
        return self.front is HAProxy and transport == "tcp"

    def serve(self, backend, transport, *options):
        server = Place(self, backend, transport, "--once", "--sink=dir:" + self.directory,
                       *options)
        return server, self.front(self, server)

    def await_most(self):
        """The server has what was sent, but for what it holds back."""
        def came():
            sizes = [os.stat(entry).st_size for entry in os.scandir(self.directory)]
            return sum(sizes) >= CUT - HELD
        until(came, f"{CUT} bytes through the front")

    def begin_and_reset(self, front, data):
        connection = socket.create_connection(("127.0.0.1", front.port), DEADLINE)
        self.addCleanup(connection.close)
        connection.sendall(data[:CUT])
        self.await_most()
        reset(connection)

    def begin_to_send(self, front, *options):
        sender = subprocess.Popen([LASTBYTE, "send", *options, f"127.0.0.1:{front.port}"],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(sender.kill)
        sender.stdin.write(DATA[:CUT])
        sender.stdin.flush()
        self.await_most()
        return sender

    def try_a_cut_looks_like_an_end(self, backend, transport):
        """Why there are seals. If this fails, the front has learned to pass a reset on."""
        server, front = self.serve(backend, transport)
        self.begin_and_reset(front, DATA)
        result = server.finish()
        if self.passes_resets(transport):
            self.assertEqual(1, result.stats["ends"]["reset"], result)
            return
        self.assertEqual(1, result.stats["ends"]["eof"], result)
        self.assertEqual([DATA[:CUT]], self.files())

    def try_with_a_seal_nothing_cut_is_published(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal")
        first = b"lastbyte-seal/1 sha256 " + b"0123456789abcdef" * 2 + b"\n"
        self.begin_and_reset(front, first + DATA)
        self.check_cut(server, transport)

    def try_with_a_seal_a_killed_send_publishes_nothing(self, backend, transport):
        for option in ("--seal=count", "--seal"):
            server, front = self.serve(backend, transport, "--seal")
            with self.begin_to_send(front, option) as sender:
                sender.kill()
            self.check_cut(server, transport)

    def try_with_a_seal_a_killed_front_publishes_nothing(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal")
        with self.begin_to_send(front, "--seal"):
            front.die()
            self.check_ended(server, "truncated")

    def check_cut(self, server, transport):
        self.check_ended(server, "reset" if self.passes_resets(transport) else "truncated")

    def check_ended(self, server, end):
        result = server.finish()
        self.assertEqual((1, 1), (result.status, result.stats["ends"][end]), result)
        self.assertEqual([], self.files())
        partial, = self.files(".partial")
        self.assertTrue(DATA.startswith(partial))
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))

    def try_with_a_seal_the_whole_is_published(self, backend, transport):
        server, front = self.serve(backend, transport, "--seal", "--receipt")
        result = run("send", "--seal", "--receipt", f"127.0.0.1:{front.port}", input=DATA)
        self.assertEqual(0, result.status, result)
        self.assertEqual(0, server.finish().status)
        self.assertTrue([DATA] == self.files())


def expand(front):
    tests = {name.replace("try_", "test_", 1): method for name, method in vars(Cases).items()
             if name.startswith("try_")}
    return everywhere(16)(type(front.__name__ + "Cases", (Cases, Case), {"front": front, **tests}))


SocatCases, NginxCases, HAProxyCases, SshCases = map(expand, (Socat, Nginx, HAProxy, Ssh))

if __name__ == "__main__":
    main()
