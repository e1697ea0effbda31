# SPDX-License-Identifier: MIT
"""recv --tls and send --tls: pins, certificates, ends, and what each side is told."""

import json
import os
import stat
import subprocess
import unittest

from harness import (DEADLINE, LASTBYTE, Server, each_backend, main, probe, program, run, seeded,
                     temporary_directory, until)
from tls_peers import Damager, TlsServer, WRONG_PIN, end, make_certificate, pin_of

if any(item["name"] == "tls" for item in probe()["build"]):
    raise unittest.SkipTest("this build has no TLS")


@each_backend
class Five(unittest.TestCase):
    """A stranger's five minutes: two commands, a pin pasted, a file sent."""

    def test_a_file_arrives(self, backend):
        directory = temporary_directory(self)
        data = seeded(1 << 20)
        path = os.path.join(directory, "sent")
        with open(path, "wb") as file:
            file.write(data)
        server = TlsServer(self, "--once", "--receipt", f"--sink=file:{directory}/got",
                           "--backend=" + backend)
        result = run("send", "--receipt", "--pin=" + server.pin, server.address, path)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(0, server.finish().status)
        with open(directory + "/got", "rb") as file:
            self.assertEqual(data, file.read())

    def test_a_byte_that_was_changed_on_the_way(self, backend):
        for at in (100, 5000, 80000):  # in the handshake, in the first record, later
            directory = temporary_directory(self)
            server = TlsServer(self, "--once", "--receipt", "--stats=json",
                               f"--sink=file:{directory}/got", "--backend=" + backend)
            way = Damager(self, server.port, at)
            result = run("send", "--receipt", "--pin=" + server.pin, way.address,
                         input=seeded(100000))
            self.assertNotEqual(0, result.status, result)
            self.assertEqual(1, result.errors.count("\n"), result)
            if at == 100:
                server.signal(15)
                self.assertIn("turned away (tls: ", server.finish().errors)
            else:
                ended = server.finish()
                self.assertEqual(1, ended.status, ended)
                self.assertIn("(bad-record-mac)", ended.errors)
            self.assertFalse(os.path.exists(directory + "/got"))


class Pins(unittest.TestCase):
    def send(self, server, *options, **more):
        return run("send", *options, server.address, **{"input": b"hello", **more})

    def test_our_key_is_made_once(self):
        directory = temporary_directory(self) + "/a/b"
        pins = {TlsServer(self, "--tls-dir=" + directory, "--sink=discard").pin for _ in range(2)}
        self.assertEqual(1, len(pins))
        self.assertEqual(["recv.pem"], os.listdir(directory))
        self.assertEqual(0o700, stat.S_IMODE(os.stat(directory).st_mode))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(directory + "/recv.pem").st_mode))

    def test_the_pin_is_the_first_line(self):
        server = TlsServer(self, "--sink=discard")
        server.errors.wait_for(lambda data: b"listening on " in data, "listening on")
        self.assertRegex(server.errors.data, rb"\Apin sha256//\S{44}\nlistening on ")

    def test_of_many_at_once_all_have_the_same(self):
        directory = temporary_directory(self) + "/state"
        at_once = [subprocess.Popen([LASTBYTE, "pin", "--tls-dir=" + directory],
                                    stdout=subprocess.PIPE) for _ in range(8)]
        pins = {process.communicate(timeout=DEADLINE)[0] for process in at_once}
        self.assertEqual([0] * 8, [process.returncode for process in at_once])
        self.assertEqual(1, len(pins))
        self.assertEqual(["send.pem"], os.listdir(directory))

    def test_the_pin_is_the_one_that_openssl_makes(self):
        directory = temporary_directory(self)
        server = TlsServer(self, "--tls-dir=" + directory, "--sink=discard")
        self.assertEqual(pin_of(directory + "/recv.pem"), server.pin)

    def test_where_it_is_kept(self):
        for name, inside in (("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "/lastbyte"),
                             ("HOME", "/.local/state/lastbyte")):
            directory = temporary_directory(self)
            environment = {key: value for key, value in os.environ.items()
                           if key not in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME")}
            Server(self, "--tls", "--sink=discard", env={**environment, name: directory})
            self.assertTrue(os.path.exists(directory + inside + "/recv.pem"))

    def test_a_key_that_others_can_read_is_refused(self):
        directory = temporary_directory(self)
        run("pin", "--tls-dir=" + directory)
        os.chmod(directory + "/send.pem", 0o644)
        result = run("pin", "--tls-dir=" + directory)
        self.assertEqual(3, result.status)
        self.assertIn("others can read or write it", result.errors)

    def test_another_pin(self):
        server = TlsServer(self, "--sink=discard", "--stats=json")
        result = self.send(server, "--pin=" + WRONG_PIN, "--receipt", "--retry=3")
        self.assertEqual(3, result.status, result)
        self.assertIn(f"another key than --pin says: its pin is {server.pin}", result.errors)
        self.assertEqual(1, result.errors.count("\n"), result)
        self.assertEqual(0, self.send(server, "--pinnedpubkey=" + server.pin,
                                      "--pin=" + WRONG_PIN).status)
        server.signal(15)
        ended = server.finish()
        self.assertEqual((1, 1), (ended.stats["streams"], ended.stats["refused"]))

    def test_a_certificate_that_does_not_verify(self):
        server = TlsServer(self, "--sink=discard")
        result = self.send(server, "--tls")
        self.assertEqual(3, result.status)
        self.assertIn("self-signed certificate", result.errors)
        self.assertIn("--pin=" + server.pin, result.errors)

    def test_a_certificate_that_does(self):
        directory = temporary_directory(self)
        make_certificate(directory, "ca", names=None)
        certificate, key = make_certificate(directory, "server", authority="ca")
        server = TlsServer(self, "--tls-cert=" + certificate, "--tls-key=" + key, "--sink=discard")
        ca = f"--tls-ca={directory}/ca.pem"
        self.assertEqual(0, self.send(server, ca).status)
        self.assertEqual(0, run("send", ca, f"localhost:{server.port}", "--text=x").status)
        self.assertEqual(3, self.send(server, "--tls").status)

    def test_a_certificate_for_somebody_else(self):
        directory = temporary_directory(self)
        make_certificate(directory, "ca", names=None)
        certificate, key = make_certificate(directory, "server", "DNS:other.example", "ca")
        server = TlsServer(self, "--tls-cert=" + certificate, "--tls-key=" + key, "--sink=discard")
        result = self.send(server, f"--tls-ca={directory}/ca.pem")
        self.assertEqual(3, result.status)
        self.assertIn("IP address mismatch", result.errors)

    def test_unix_sockets_have_no_names(self):
        path = "unix:" + temporary_directory(self) + "/socket"
        server = TlsServer(self, "--once", "--sink=discard", "--receipt", listen=path)
        result = run("send", "--tls", path, "--text=x")
        self.assertEqual(2, result.status, result)
        self.assertIn("use --pin", result.errors)
        self.assertEqual(0, run("send", "--receipt", "--pin=" + server.pin, path,
                                "--text=x").status)
        self.assertEqual(0, server.finish().status)


class TwoWorlds(unittest.TestCase):
    """Plain bytes to a port that speaks TLS, and TLS to one that doesn't."""

    def test_plain_to_tls(self):
        server = TlsServer(self, "--sink=discard", "--receipt")
        for options in ((), ("--receipt",)):
            result = run("send", *options, server.address, input=seeded(2000000))
            self.assertEqual(3, result.status, result)
            self.assertEqual(b"", result.output)
            self.assertEqual(1, result.errors.count("\n"), result)
            self.assertIn("the server speaks TLS; use --tls", result.errors)
        server.signal(15)
        self.assertIn("turned away (tls: plain bytes, no TLS)",
                      server.finish().errors)

    def test_tls_to_plain(self):
        server = Server(self, "--sink=discard")
        result = run("send", "--tls", "--connect-timeout=0.3", server.address, "--text=x")
        self.assertEqual(3, result.status)
        self.assertEqual(1, result.errors.count("\n"), result)
        self.assertIn("does it run with --tls?", result.errors)
        server.signal(15)
        self.assertIn("begins as TLS does, but there is none here", server.finish().errors)

    def test_tls_to_plain_that_greets(self):
        server = Server(self, "--sink=discard", "--greeting=welcome to this port\\n")
        result = run("send", "--tls", server.address, "--text=x")
        self.assertEqual(3, result.status)
        self.assertIn("it speaks no TLS", result.errors)


    def test_a_port_check(self):
        server = TlsServer(self, "--sink=discard", "--ignore-empty", "--stats=json")
        server.connect().close()
        self.assertEqual(0, run("send", "--pin=" + server.pin, server.address, "--text=x").status)
        server.signal(15)
        ended = server.finish()
        self.assertEqual((1, 0), (ended.stats["streams"], ended.stats["refused"]), ended)


class Ends(unittest.TestCase):
    def begin(self, *options):
        server = TlsServer(self, "--once", "--stats=json", "--sink=hash", *options)
        connection = server.wrap()
        connection.sendall(b"hello")
        return server, connection

    def test_close_notify(self):
        server, connection = self.begin()
        end(connection)
        self.assertEqual(1, server.finish().stats["ends"]["eof"])

    def test_each_reader_of_records(self):
        for records in ("own", "libssl"):
            server, connection = self.begin("--tls-records=" + records)
            end(connection)
            self.assertEqual(1, server.finish().stats["ends"]["eof"])

    def test_a_fin_alone(self):
        server, connection = self.begin()
        connection.close()
        ended = server.finish()
        self.assertEqual(1, ended.stats["ends"]["truncated"], ended)
        self.assertIn("(no-close-notify)", ended.errors)

    def test_a_fin_that_is_allowed(self):
        server, connection = self.begin("--tls-allow-fin", "-v")
        connection.close()
        ended = server.finish()
        self.assertEqual((1, 1), (ended.stats["ends"]["eof"], ended.stats["unproven"]), ended)
        self.assertIn("eof after 5 bytes (no-close-notify)", ended.errors)

    def test_versions(self):
        for least, version, taken in (("1.3", "-tls1_2", False), ("1.2", "-tls1_2", True),
                                      ("1.2", "-tls1_3", True)):
            server = TlsServer(self, "--sink=discard", "--tls-min=" + least, "--stats=json")
            done = subprocess.run(["openssl", "s_client", "-connect", server.address, version],
                                  input=b"hello\n", capture_output=True, timeout=20, check=False)
            self.assertEqual(taken, done.returncode == 0, done.stderr)
            server.signal(15)
            self.assertEqual(int(taken), server.finish().stats["ends"]["eof"])

    def test_how_keys_are_agreed_on(self):
        server = TlsServer(self, "--sink=discard")
        for group, taken in (("X25519", True), ("P-256", True), ("P-384", True),
                             ("P-521", False), ("ffdhe2048", False)):
            done = subprocess.run([program("openssl"), "s_client", "-connect", server.address,
                                   "-groups", group], input=b"hello\n", capture_output=True,
                                  timeout=DEADLINE, check=False)
            self.assertEqual(taken, done.returncode == 0, (group, done.stderr))

    def test_nothing_to_come_back_with(self):
        """No tickets, so no early data; no other handshake within a connection."""
        server = TlsServer(self, "--sink=discard", "--tls-min=1.2")
        for version, words in (("-tls1_3", ("Early data was not sent",)),
                               ("-tls1_2", ("Compression: NONE",))):
            done = subprocess.run([program("openssl"), "s_client", "-connect", server.address,
                                   version, "-msg"], input=b"hello\nR\nhello\n",
                                  capture_output=True, timeout=DEADLINE, check=False)
            told = (done.stdout + done.stderr).decode()
            for word in words:
                self.assertIn(word, told)
            self.assertNotIn("NewSessionTicket", told)
            self.assertEqual(1, told.count(", ServerHello\n"), told)

    def test_behind_a_front(self):
        """What it says of whom it comes for stands in the open, before TLS."""
        server = TlsServer(self, "--once", "--receipt", "-v", "--sink=hash",
                           "--proxy-protocol=127.0.0.1")
        connection = server.connect()
        connection.sendall(b"PROXY TCP4 192.0.2.7 203.0.113.1 4711 1090\r\n")
        connection = server.wrap(connection)
        connection.sendall(b"hello")
        self.assertTrue(end(connection).startswith(b"ok 5 "))
        ended = server.finish()
        self.assertEqual(0, ended.status, ended)
        self.assertIn("from 192.0.2.7:4711: eof after 5 bytes", ended.errors)

    def test_seals_receipts_answers_and_commands(self):
        server = TlsServer(self, "--once", "--seal", "--receipt", "--greeting=hello\\n",
                           "--sink=exec:tr a-z A-Z")
        result = run("send", "--seal", "--receipt", "--pin=" + server.pin, server.address,
                     input=b"content\n")
        self.assertEqual((0, b"hello\nCONTENT\n"), (result.status, result.output), result)
        self.assertEqual(0, server.finish().status)

    def test_many_at_once(self):
        directory = temporary_directory(self)
        paths = []
        for number in range(40):
            paths.append(f"{directory}/{number}")
            with open(paths[-1], "wb") as file:
                file.write(seeded(number * 3001, seed=number))
        server = TlsServer(self, "--count=40", "--receipt", "--sink=discard")
        result = run("send", "--parallel=20", "--receipt", "--pin=" + server.pin, server.address,
                     *paths)
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(0, server.finish().status)


class Options(unittest.TestCase):
    def test_what_makes_no_sense(self):
        for command, options, text in (
                ("recv", ("--tls-cert=x",), "--tls-cert: needs --tls"),
                ("recv", ("--allow-pin=" + WRONG_PIN,), "--allow-pin: needs --tls"),
                ("recv", ("--tls", "--tls-cert=x"), "the one needs the other"),
                ("recv", ("--tls", "--tls-allow-fin", "--receipt"), "--tls-allow-fin: with"),
                ("recv", ("--tls", "--tls-min=1.1"), "use 1.2|1.3"),
                ("recv", ("--tls-records=own",), "--tls-records: needs --tls"),
                ("recv", ("--tls", "--tls-records=none"), "use own|libssl"),
                ("recv", ("--tls", "--allow-pin=sha256//x"), "not a pin"),
                ("send", ("--pin=md5//x", "x:1"), "not a pin"),
                ("send", ("--pin=" + WRONG_PIN, "--tls-ca=x", "x:1"), "a pin takes its place"),
                ("pin", ("x",), "takes only options")):
            result = run(command, *options)
            self.assertEqual(2, result.status, result)
            self.assertIn(text, result.errors)
            self.assertEqual(1, result.errors.count("\n"), result)

    def test_files_that_are_none(self):
        directory = temporary_directory(self)
        certificate, _ = make_certificate(directory, "one")
        _, key = make_certificate(directory, "two")
        with open(directory + "/junk", "w", encoding="utf-8") as file:
            file.write("junk\n")
        junk = directory + "/junk"
        os.chmod(junk, 0o600)
        for options, text in (
                ((f"--tls-cert={directory}/none", "--tls-key=" + key), "No such file"),
                (("--tls-cert=" + junk, "--tls-key=" + key), "no certificate that can be used"),
                (("--tls-cert=" + certificate, "--tls-key=" + key), "no key of that certificate"),
                (("--tls-psk=" + junk,), "junk:1: not IDENTITY:HEXKEY"),
                (("--tls-client-ca=" + junk,), "no certificates of CAs"),
                (("--allow-pin=@" + junk,), "a line that begins with no pin")):
            own = () if options[0].startswith("--tls-cert") else ("--tls-dir=" + directory,)
            result = run("recv", "--listen=127.0.0.1:0", "--tls", *own, *options)
            self.assertIn(result.status, (2, 3), result)
            self.assertIn(text, result.errors)


class Rights(unittest.TestCase):
    def test_a_key_that_comes_through_a_pipe(self):
        """Late, as from a program that has to ask for it."""
        certificate, key = make_certificate(temporary_directory(self), "one")
        server = TlsServer(self, "--tls-cert=" + certificate, "--sink=discard", prefix=(
            program("bash"), "-c", 'exec "$@" --tls-key=<(sleep 0.2; cat "$0")', key))
        self.assertEqual(0, run("send", "--pin=" + server.pin, server.address, "--text=x").status)

    def test_how_much_memory_there_may_be_is_told(self):
        server = TlsServer(self, "--sink=discard", "-v", "--max-streams=1000",
                           "--max-handshakes=24")
        told = b"tls: at most 40 KiB of memory for a stream, 40 MiB for "
        server.errors.wait_for(lambda data: told in data, told.decode())

    def test_a_changed_certificate_is_taken_up(self):
        directory = temporary_directory(self)
        certificate, key = make_certificate(directory, "one")
        server = TlsServer(self, "--tls-cert=" + certificate, "--tls-key=" + key, "--sink=discard",
                           "-v")
        before = server.pin
        self.assertEqual(0, run("send", "--pin=" + before, server.address, "--text=x").status)
        with open(certificate, "r+", encoding="utf-8") as file:
            file.write("broken")

        def sends(pin):
            return run("send", "--pin=" + pin, server.address, "--text=x").status == 0

        until(lambda: sends(before) and b"stays as it was" in server.errors.data,
              "a warning of the broken certificate")
        other = make_certificate(directory, "two")
        os.rename(other[0], certificate)
        os.rename(other[1], key)
        until(lambda: not sends(before) and b"was taken up" in server.errors.data,
              "the new certificate")

    def test_a_key_that_can_not_be_read_again(self):
        """Once rights are given up: that is told at start, and later changes change nothing."""
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        directory = temporary_directory(self)
        os.chmod(directory, 0o755)
        certificate, key = make_certificate(directory, "one")
        os.chmod(certificate, 0o644)
        os.chmod(key, 0o600)
        server = TlsServer(self, "--tls-cert=" + certificate, "--tls-key=" + key, "--sink=discard",
                           "--user=nobody")
        told = (f"{key}: Permission denied for whom we are now; when it changes, that will not be "
                "taken up without a restart\n")
        server.errors.wait_for(lambda data: told.encode() in data, told)
        self.assertNotIn((certificate + ":").encode(), server.errors.data)
        os.rename(make_certificate(directory, "two")[1], key)
        os.rename(directory + "/two.pem", certificate)
        os.chmod(certificate, 0o644)

        def sends():
            return run("send", "--pin=" + server.pin, server.address, "--text=x").status == 0

        until(lambda: sends() and b"stays as it was: " in server.errors.data,
              "a warning that the new certificate can't be taken up")
        self.assertTrue(sends())

    def test_a_program_reads_what_becomes_of_the_certificate(self):
        directory = temporary_directory(self)
        certificate, key = make_certificate(directory, "one")
        server = TlsServer(self, "--tls-cert=" + certificate, "--tls-key=" + key, "--sink=discard",
                           "--log=json")

        def told():
            lines = [json.loads(line) for line in server.errors.data.splitlines(True)
                     if line.startswith(b"{") and line.endswith(b"\n")]
            return [event for event in lines if event["type"] == "certificate"]

        def is_told(reason):
            run("send", "--pin=" + server.pin, server.address, "--text=x")
            return told()[-1]["reason"] == reason

        until(lambda: len(told()) == 1, "an event of the certificate")
        with open(certificate, "r+", encoding="utf-8") as file:
            file.write("broken")
        until(lambda: is_told("kept"), "an event of the broken certificate")
        other = make_certificate(directory, "two")
        os.rename(other[0], certificate)
        os.rename(other[1], key)
        until(lambda: is_told("renewed"), "an event of the new certificate")
        # Between two renames the pair is none, too.
        reasons = [(event["reason"], event["error"]) for event in told()]
        self.assertEqual([("loaded", None), ("kept", "EBADMSG"), ("renewed", None)],
                         [reasons[0], reasons[1], reasons[-1]])
        for event in told():
            self.assertEqual([None] * 5, [event[name] for name in
                                          ("id", "peer", "end", "bytes", "seconds")])


if __name__ == "__main__":
    main()
