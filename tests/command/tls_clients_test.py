# SPDX-License-Identifier: MIT
"""Who may send by TLS, and who says so: certificates by a CA, pins, pre-shared keys."""

import os
import subprocess
import unittest

from harness import DEADLINE, main, probe, program, run, temporary_directory
from tls_peers import TlsServer, WRONG_PIN, end, make_certificate, trusting

if any(item["name"] == "tls" for item in probe()["build"]):
    raise unittest.SkipTest("this build has no TLS")

KEY = "00112233445566778899aabbccddeeff" * 2


class Clients(unittest.TestCase):
    def pin(self, directory):
        result = run("pin", "--tls-dir=" + directory)
        self.assertEqual(0, result.status, result)
        return result.output.decode().strip()

    def keys(self, text):
        path = temporary_directory(self) + "/keys"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o600)
        return path

    def refused(self, server, *options):
        result = run("send", *options, "--receipt", server.address, input=b"x" * 100000)
        self.assertEqual(3, result.status, result)
        self.assertIn("doesn't let us send", result.errors)
        self.assertEqual(1, result.errors.count("\n"), result)

    def test_a_pin(self):
        ours, others = temporary_directory(self), temporary_directory(self)
        server = TlsServer(self, "--allow-pin=" + self.pin(ours), "--receipt", "--sink=discard",
                           "-v")
        to = "--pin=" + server.pin
        result = run("send", to, "--tls-dir=" + ours, "--receipt", server.address, "--text=x")
        self.assertEqual((0, ""), (result.status, result.errors))
        self.refused(server, to, "--tls-dir=" + others)
        server.signal(15)
        told = server.finish().errors
        self.assertIn(f", pin {self.pin(ours)}: eof after 1 bytes", told)
        self.assertIn(f" has a key that may not send, pin {self.pin(others)}\n", told)
        self.assertIn("turned away (tls: may not send)", told)

    def test_pins_in_a_file(self):
        ours = temporary_directory(self)
        path = self.keys(f"# who may\n\n{WRONG_PIN} nobody\n{self.pin(ours)} # us\n")
        server = TlsServer(self, "--once", "--allow-pin=@" + path, "--sink=discard")
        self.assertEqual(0, run("send", "--pin=" + server.pin, "--tls-dir=" + ours, server.address,
                                "--text=x").status)
        self.assertEqual(0, server.finish().status)

    def test_an_authority(self):
        directory = temporary_directory(self)
        make_certificate(directory, "ca", names=None)
        make_certificate(directory, "other", names=None)
        server = TlsServer(self, f"--tls-client-ca={directory}/ca.pem", "--sink=hash", "-v")
        for authority in ("ca", "other", None):
            context = trusting()
            if authority:
                context.load_cert_chain(*make_certificate(directory, "us", authority=authority))
            connection = server.wrap(context=context)
            try:
                connection.sendall(b"hello")
                end(connection)
            except OSError:
                self.assertNotEqual("ca", authority)
        self.refused(server, "--pin=" + server.pin,
                     "--tls-dir=" + temporary_directory(self))
        server.signal(15)
        told = server.finish().errors
        self.assertIn(", subject CN=us: eof after 5 bytes", told)
        self.assertEqual(1, told.count(": eof"))

    def test_a_pre_shared_key(self):
        path = self.keys(f"# ours\nnobody:{'ab' * 32}\nus:{KEY}\n")
        mine = self.keys(f"us:{KEY}\n")
        wrong = self.keys(f"us:{KEY[::-1]}\n")
        unknown = self.keys(f"them:{KEY}\n")
        server = TlsServer(self, "--tls-psk=" + path, "--receipt", "--sink=discard", "-v")
        result = run("send", "--tls-psk=" + mine, "--receipt", server.address, "--text=x")
        self.assertEqual((0, ""), (result.status, result.errors))
        self.assertEqual(3, run("send", "--tls-psk=" + wrong, server.address, "--text=x").status)
        # Not known by that, it would have to verify the certificate.
        self.assertEqual(3, run("send", "--tls-psk=" + unknown, server.address, "--text=x").status)
        self.refused(server, "--pin=" + server.pin, "--tls-dir=" + temporary_directory(self))
        server.signal(15)
        self.assertIn(", psk us: eof after 1 bytes", server.finish().errors)

    def test_a_pre_shared_key_that_others_can_read(self):
        path = self.keys(f"us:{KEY}\n")
        os.chmod(path, 0o640)
        for command in (("recv", "--listen=127.0.0.1:0", "--tls"), ("send", "127.0.0.1:1")):
            result = run(*command, "--tls-psk=" + path)
            self.assertEqual(3, result.status, result)
            self.assertIn(path + ": others can read or write it; make new keys", result.errors)

    def test_a_pre_shared_key_of_openssl(self):
        server = TlsServer(self, "--once", "--tls-psk=" + self.keys(f"us:{KEY}\n"), "--sink=hash")
        subprocess.run([program("openssl"), "s_client", "-connect", server.address, "-psk", KEY,
                        "-psk_identity", "us", "-no_ign_eof"], input=b"hello", check=True,
                       timeout=DEADLINE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(0, server.finish().status)

    def test_any_one_of_them_will_do(self):
        ours = temporary_directory(self)
        keys = self.keys(f"us:{KEY}\n")
        server = TlsServer(self, "--allow-pin=" + self.pin(ours), "--tls-psk=" + keys,
                           "--sink=discard", "--count=2")
        self.assertEqual(0, run("send", "--tls-psk=" + keys, server.address, "--text=x").status)
        self.assertEqual(0, run("send", "--pin=" + server.pin, "--tls-dir=" + ours, server.address,
                                "--text=x").status)
        self.assertEqual(0, server.finish().status)

    def test_a_command_is_told(self):
        ours = temporary_directory(self)
        server = TlsServer(self, "--count=1", "--allow-pin=" + self.pin(ours),
                           "--sink=exec:cat >/dev/null; echo $LASTBYTE_IDENTITY")
        result = run("send", "--pin=" + server.pin, "--tls-dir=" + ours, server.address,
                     "--text=x")
        self.assertEqual(f"pin {self.pin(ours)}\n".encode(), result.output)
        server = TlsServer(self, "--once", "--sink=exec:cat >/dev/null; env",
                           env={"PATH": "/usr/bin:/bin", "LASTBYTE_IDENTITY": "psk root"})
        result = run("send", "--pin=" + server.pin, server.address, "--text=x")
        self.assertNotIn(b"LASTBYTE_IDENTITY", result.output)


if __name__ == "__main__":
    main()
