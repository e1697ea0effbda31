# SPDX-License-Identifier: MIT
"""What recv gives up before it accepts anybody: rights, files, system calls."""

import contextlib
import os
import pwd
import re
import resource
import shutil
import socket
import stat
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, exchange, main, probe, program, run,
                     seeded, temporary_directory)

SPOOLED = 3 << 20  # more than the sink print keeps in memory
PARTS = {"no-new-privs": "no_new_privs", "no-dump": "no_dump", "landlock": "landlock",
         "seccomp": "seccomp", "uring-restrictions": "uring_restrictions"}
NOBODY = pwd.getpwnam("nobody")


def usable(part):
    return next(item["usable"] for item in probe()["features"] if item["name"] == PARTS[part])


def require(test, part):
    if not usable(part):
        test.skipTest(f"{part} can't be in force here")


def require_root(test):
    if os.geteuid() != 0:
        test.skipTest("only root can become another user")


def copy_for_all(test):
    """The command where anybody can run it."""
    directory = temporary_directory(test)
    os.chmod(directory, 0o755)
    return shutil.copy(LASTBYTE, directory)


def threads_status(server):
    """What /proc tells of each thread, as dictionaries."""
    found = []
    tasks = f"/proc/{server.process.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/status", encoding="ascii") as file:
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file))
    return found


def hardening(server):
    """What --verbose says is in force."""
    line = re.compile(rb"lastbyte: hardening: (.*)\n")
    server.errors.wait_for(line.search, "what is in force")
    found = line.search(server.errors.data)
    return found[1].decode().split(", ")


def talk(server, data=b"x"):
    """One stream that has been served, so that every thread there will be is there."""
    exchange(server.connect(), data)


@each_backend
class ByDefault(unittest.TestCase):
    def test_everything_that_works_here_is_in_force(self, backend):
        server = Server(self, "--backend=" + backend, "--verbose", "--sink=discard", "--count=2")
        talk(server)
        expected = [part for part in PARTS if usable(part)
                    and (part != "uring-restrictions" or backend == "uring")]
        self.assertEqual(expected, hardening(server))
        for thread in threads_status(server):
            self.assertEqual("1", thread["NoNewPrivs"])
            self.assertEqual("2" if usable("seccomp") else "0", thread["Seccomp"])
        talk(server)
        self.assertEqual(0, server.finish().status)

    def test_all_of_it_can_be_turned_off(self, backend):
        server = Server(self, "--backend=" + backend, "--verbose", "--sink=discard", "--count=2",
                        "--no-harden")
        talk(server)
        self.assertEqual(["nothing"], hardening(server))
        for thread in threads_status(server):
            self.assertEqual(("0", "0"), (thread["NoNewPrivs"], thread["Seccomp"]))
        talk(server)
        self.assertEqual(0, server.finish().status)

    def test_and_so_can_parts(self, backend):
        server = Server(self, "--backend=" + backend, "--verbose", "--sink=discard", "--once",
                        "--no-harden=seccomp,uring-restrictions")
        self.assertEqual([part for part in ("no-new-privs", "no-dump", "landlock") if usable(part)],
                         hardening(server))
        talk(server)
        self.assertEqual(0, server.finish().status)

    def test_what_it_needs_is_not_refused(self, backend):
        """The filter answers ENOSYS, which may go unnoticed: so each call is looked at."""
        require(self, "seccomp")
        strace = program("strace")
        if subprocess.run([strace, "--output=/dev/null", "true"], check=False).returncode:
            self.skipTest("strace(1) may not trace here")
        directory = temporary_directory(self)
        log = os.path.join(directory, "log")
        for options in (("print", "--receipt"), ("stdout",), ("discard", "--rate-limit=1G"),
                        ("hash:sha256", "--verbose"), (f"file:{directory}/file", "--receipt"),
                        (f"dir:{directory}", "--receipt=sha256", "--idle-timeout=30"),
                        (f"dir:{directory}",), (f"dir:{directory}", "--direct")):
            server = Server(self, "--backend=" + backend, "--once", "--sink=" + options[0],
                            *options[1:],
                            prefix=[strace, "--follow-forks", "--output=" + log])
            talk(server, seeded(SPOOLED))
            result = server.finish()
            self.assertEqual(0, result.status, result)
            with open(log, encoding="utf-8", errors="replace") as file:
                refused = [line for line in file if "ENOSYS" in line]
            # The C library tries clone3 for each thread, and takes clone then.
            self.assertEqual([], [line for line in refused if "clone3" not in line], options)

    def test_a_socket_file_is_removed_all_the_same(self, backend):
        path = os.path.join(temporary_directory(self), "socket")
        server = Server(self, "--backend=" + backend, "--once", "--listen=unix:" + path)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            exchange(connection, b"x")
        self.assertEqual((0, b"x"), (server.finish().status, server.output.data))
        self.assertFalse(os.path.exists(path))


class Landlock(unittest.TestCase):
    def spool_elsewhere(self, *options):
        """Lets a symbolic link lead the spool of the sink print out of TMPDIR."""
        directory = temporary_directory(self)
        spool, elsewhere = os.path.join(directory, "spool"), os.path.join(directory, "elsewhere")
        os.mkdir(spool)
        os.mkdir(elsewhere)
        server = Server(self, "--once", "--stats=json", *options,
                        env={**os.environ, "TMPDIR": spool})
        os.rename(spool, spool + ".old")
        os.symlink(elsewhere, spool)
        with contextlib.suppress(OSError):
            talk(server, seeded(SPOOLED))
        return server.finish().stats["ends"]

    def test_nothing_is_written_elsewhere(self):
        require(self, "landlock")
        self.assertEqual(1, self.spool_elsewhere()["sink"])

    def test_without_it_it_would_be(self):
        self.assertEqual(1, self.spool_elsewhere("--no-harden=landlock")["eof"])

    def test_the_spool_itself_is_allowed(self):
        server = Server(self, "--once", env={**os.environ, "TMPDIR": temporary_directory(self)})
        data = seeded(SPOOLED)
        talk(server, data)
        self.assertEqual((0, data), (server.finish().status, bytes(server.output.data)))


class Commands(unittest.TestCase):
    """exec: a command inherits what its parent gave up, so that is little."""

    def status_of_command(self, *options):
        server = Server(self, "--once", "--sink=exec:cat >/dev/null; cat /proc/self/status",
                        *options)
        answer = exchange(server.connect(), b"x").decode()
        self.assertEqual(0, server.finish().status)
        return dict(line.split(":\t", 1) for line in answer.splitlines())

    def test_no_filter_but_no_new_rights(self):
        status = self.status_of_command()
        self.assertEqual(("1", "0"), (status["NoNewPrivs"], status["Seccomp"]))

    def test_the_server_itself_keeps_less(self):
        require(self, "seccomp")
        server = Server(self, "--once", "--verbose", "--sink=exec:cat")
        for thread in threads_status(server):
            self.assertEqual(("1", "2"), (thread["NoNewPrivs"], thread["Seccomp"]))
        self.assertEqual(b"x", exchange(server.connect(), b"x"))
        self.assertRegex(server.finish().errors, r"hardening: no-new-privs, .*seccomp")

    def test_their_own_crashes_are_their_own(self):
        """A command may leave a file of its memory if whoever started the server allows that."""
        require(self, "no-dump")  # AddressSanitizer sets the limit itself
        wanted = 12345
        server = Server(self, "--once", "--sink=exec:cat >/dev/null; cat /proc/self/limits",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE,
                                                              (wanted, 2 * wanted)))
        answer = exchange(server.connect(), b"x").decode()
        self.assertEqual(0, server.finish().status)
        self.assertRegex(answer, rf"Max core file size +{wanted} +{2 * wanted} ")

    def test_new_rights_if_asked_for(self):
        self.assertEqual("0", self.status_of_command("--no-harden=no-new-privs")["NoNewPrivs"])

    def test_they_may_write_anywhere(self):
        path = os.path.join(temporary_directory(self), "file")
        server = Server(self, "--once", f"--sink=exec:cat >{path}")
        talk(server, b"anywhere")
        self.assertEqual(0, server.finish().status)
        with open(path, "rb") as file:
            self.assertEqual(b"anywhere", file.read())


class Memory(unittest.TestCase):
    """What passes through it is in the memory of a process."""

    def start(self, *options):
        """As a user who is not root, for whom /proc says whether he may look into it."""
        user = {}
        copy = LASTBYTE
        if os.geteuid() == 0:
            copy = copy_for_all(self)
            user = {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}
        process = subprocess.Popen([copy, "recv", "--listen=127.0.0.1:0", *options],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **user)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn(b"listening", process.stderr.readline())
        return process.pid

    def may_look(self, pid):
        return os.stat(f"/proc/{pid}/environ").st_uid != 0

    def core_limit(self, pid):
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            return re.search(r"Max core file size +(\w+)", file.read())[1]

    def guardian_of(self, pid):
        """It is nobody's child that could be found so: it has the server's session and name."""
        found = []
        for other in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{other}/cmdline", "rb") as file:
                with open(f"/proc/{pid}/cmdline", "rb") as own:
                    if file.read() == own.read() and int(other) != pid:
                        found.append(int(other))
        self.assertEqual(1, len(found))
        return found[0]

    def test_nobody_gets_it(self):
        require(self, "no-dump")
        pid = self.start("--sink=exec:cat; true " + os.urandom(8).hex())
        for process in (pid, self.guardian_of(pid)):
            self.assertFalse(self.may_look(process))
            self.assertEqual("0", self.core_limit(process))

    def test_but_whoever_asks_for_it(self):
        require(self, "no-dump")
        soft = resource.getrlimit(resource.RLIMIT_CORE)[0]
        wanted = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
        pid = self.start("--no-harden=no-dump", "--sink=discard")
        self.assertTrue(self.may_look(pid))
        self.assertEqual(wanted, self.core_limit(pid))


@each_backend
class User(unittest.TestCase):
    def directory_of(self, uid, gid):
        directory = temporary_directory(self)
        os.chown(directory, uid, gid)
        return directory

    def test_root_is_given_up_for_good(self, backend):
        require_root(self)
        directory = self.directory_of(NOBODY.pw_uid, NOBODY.pw_gid)
        server = Server(self, "--backend=" + backend, "--user=nobody", "--sink=dir:" + directory,
                        "--count=2")
        talk(server)
        for thread in threads_status(server):
            self.assertEqual({str(NOBODY.pw_uid)}, set(thread["Uid"].split()))
            self.assertEqual({str(NOBODY.pw_gid)}, set(thread["Gid"].split()))
            self.assertEqual([str(gid) for gid in os.getgrouplist("nobody", NOBODY.pw_gid)],
                             thread["Groups"].split())
            for held in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(0, int(thread[held], 16), held)
        talk(server)
        self.assertEqual(0, server.finish().status)
        files = [os.stat(os.path.join(directory, name)) for name in os.listdir(directory)]
        self.assertEqual([(NOBODY.pw_uid, 0o600)] * 2,
                         [(file.st_uid, stat.S_IMODE(file.st_mode)) for file in files])

    def test_a_group_of_ones_choice(self, backend):
        require_root(self)
        server = Server(self, "--backend=" + backend, "--user=65534:4242", "--once",
                        "--sink=discard")
        for thread in threads_status(server):
            self.assertEqual(({"65534"}, {"4242"}, ["4242"]),
                             (set(thread["Uid"].split()), set(thread["Gid"].split()),
                              thread["Groups"].split()))
        talk(server)
        self.assertEqual(0, server.finish().status)

    def test_a_low_port_is_bound_before(self, backend):
        require_root(self)
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            if int(file.read()) < 1024:
                self.skipTest("low ports need no root here")
        for port in range(1023, 512, -1):
            with socket.socket() as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(("127.0.0.1", port))
                    break
                except OSError:
                    pass
        server = Server(self, "--backend=" + backend, "--user=nobody", "--once",
                        f"--listen=127.0.0.1:{port}")
        talk(server, b"low")
        self.assertEqual((0, b"low"), (server.finish().status, server.output.data))

    def test_a_sink_that_the_user_cannot_use_is_told_at_the_start(self, backend):
        require_root(self)
        directory = self.directory_of(0, 0)
        path = os.path.join(directory, "file")
        with open(path, "w", encoding="ascii"):
            pass
        os.chmod(directory, 0o777)
        for options, word in (([f"--sink=file:{path}", "--append"], "file"),
                              ([f"--sink=dir:{directory}"], directory)):
            result = run("recv", "--backend=" + backend, "--listen=127.0.0.1:0", "--user=nobody",
                         *options)
            self.assertEqual(3, result.status, result)
            self.assertRegex(result.errors, f"--user=nobody: .*{word}.*chown")
            self.assertNotIn("listening", result.errors)
            os.chmod(directory, 0o755)

    def test_the_effective_user_alone_is_not_enough(self, backend):
        require_root(self)

        def halfway():
            os.setgroups([4242])
            os.setresgid(0, NOBODY.pw_gid, NOBODY.pw_gid)
            os.setresuid(0, NOBODY.pw_uid, NOBODY.pw_uid)

        server = Server(self, "--backend=" + backend, "--user=nobody", "--once", "--sink=discard",
                        preexec_fn=halfway, command=copy_for_all(self))
        for thread in threads_status(server):
            self.assertEqual({str(NOBODY.pw_uid)}, set(thread["Uid"].split()))
            self.assertEqual({str(NOBODY.pw_gid)}, set(thread["Gid"].split()))
            self.assertNotIn("4242", thread["Groups"].split())
        talk(server)
        self.assertEqual(0, server.finish().status)

    def test_no_capability_stays(self, backend):
        """As with AmbientCapabilities= of systemd."""
        require_root(self)
        held = "+net_bind_service,+dac_override"
        server = Server(self, "--backend=" + backend, "--user=nobody", "--once",
                        "--sink=exec:cat >/dev/null; cat /proc/self/status",
                        command=copy_for_all(self),
                        prefix=[program("setpriv"), f"--reuid={NOBODY.pw_uid}",
                                f"--regid={NOBODY.pw_gid}", "--clear-groups",
                                "--inh-caps=" + held, "--ambient-caps=" + held])
        for thread in threads_status(server):
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(0, int(thread[kind], 16), kind)
        command = dict(line.split(":\t", 1) for line in
                       exchange(server.connect(), b"x").decode().splitlines())
        self.assertEqual(0, int(command["CapEff"], 16))
        self.assertEqual(0, server.finish().status)

    def test_others_cannot_become_anybody(self, backend):
        require_root(self)
        copy = copy_for_all(self)
        for name, status in (("daemon", 3), ("nobody", 0)):
            with subprocess.Popen([copy, "recv", "--backend=" + backend, "--listen=127.0.0.1:0",
                                   "--sink=discard", "--user=" + name], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, user=NOBODY.pw_uid,
                                  group=NOBODY.pw_gid, extra_groups=[]) as process:
                line = process.stderr.readline().decode()
                if status == 0:
                    self.assertIn("listening", line)
                    process.terminate()
                else:
                    self.assertIn("--user=daemon: ", line)
                self.assertEqual(status, process.wait(DEADLINE))


class Misuse(unittest.TestCase):
    def test_is_told_in_one_line(self):
        for option, words in (("--user=", ("no user",)),
                              ("--user=no-such-user", ("no user no-such-user", "getent")),
                              ("--user=nobody:no-such-group", ("no group no-such-group", "getent")),
                              ("--user=nobody:", ("no group",)),
                              ("--user=0", ("root",)),
                              ("--user=root", ("root",)),
                              ("--user=4294967295", ("no user",)),
                              ("--user=4242424", ("4242424:GROUP",)),
                              ("--no-harden=landlok", ("no landlok", "landlock", "all")),
                              ("--no-harden=", ("no ",)),
                              ("--no-harden=seccomp,", ("no ",))):
            result = run("recv", option)
            self.assertEqual((2, 1), (result.status, result.errors.count("\n")), result)
            for word in (option, *words):
                self.assertIn(word, result.errors)


if __name__ == "__main__":
    main()
