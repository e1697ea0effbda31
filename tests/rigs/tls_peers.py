# SPDX-License-Identifier: MIT
"""TLS for the tests of the command: servers with a key of their own, certificates, a relay that
damages what passes it."""

import contextlib
import os
import re
import socket
import ssl
import subprocess
import threading

from harness import DEADLINE, Server, program, temporary_directory

WRONG_PIN = "sha256//" + "A" * 43 + "="


class TlsServer(Server):
    """recv --tls with a directory of its own for its key, unless options say which."""

    def __init__(self, test, *options, **more):
        if not any(option.startswith(("--tls-cert", "--tls-dir")) for option in options):
            options += ("--tls-dir=" + temporary_directory(test),)
        super().__init__(test, "--tls", *options, **more)
        self.pin = re.search(rb"^pin (sha256//\S{44})$", self.errors.data, re.M)[1].decode()

    def wrap(self, connection=None, context=None):
        """A connection of Python's own TLS, which trusts anybody."""
        context = context or trusting()
        return context.wrap_socket(connection or self.connect(), suppress_ragged_eofs=False)


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def end(connection):
    """Says that this was all, and returns what is answered, to the other side's own end. As
    lastbyte-tls(7) says it: unwrap alone can't stand an answer."""
    connection.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.unwrap()
    connection.settimeout(DEADLINE)
    answer = bytearray()
    with contextlib.suppress(ssl.SSLZeroReturnError):  # the other side's close_notify
        while True:
            piece = connection.recv(65536)
            if not piece:
                raise AssertionError("the connection ended without a close_notify")
            answer += piece
    connection.close()
    return bytes(answer)


def openssl(*words, **more):
    done = subprocess.run([program("openssl"), *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=DEADLINE, check=False, **more)
    if done.returncode:
        raise AssertionError(f"openssl {words}: {done.stderr.decode()}")
    return done.stdout


def make_certificate(directory, name, names="DNS:localhost,IP:127.0.0.1", authority=None):
    """NAME.pem and NAME.key in directory, signed by the authority of that name, or by itself."""
    path = os.path.join(directory, name)
    signer = ["-CA", os.path.join(directory, authority + ".pem"), "-CAkey",
              os.path.join(directory, authority + ".key")] if authority else []
    extensions = ["-addext", "subjectAltName=" + names] if names else []
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=" + name, "-days", "2", "-keyout", path + ".key", "-out", path + ".pem",
            *extensions, *signer)
    return path + ".pem", path + ".key"


def pin_of(certificate):
    """As openssl makes it."""
    key = openssl("x509", "-in", certificate, "-pubkey", "-noout")
    key = openssl("pkey", "-pubin", "-outform", "DER", input=key)
    digest = openssl("dgst", "-sha256", "-binary", input=key)
    return "sha256//" + openssl("base64", "-A", input=digest).decode()


def free_port():
    """For a server that can't tell: whoever connects tries again, and takes care if another has
    it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return holder.getsockname()[1]


class Damager:
    """Between a sender and a port: changes one byte of what the sender says, the at-th."""

    def __init__(self, test, port, at):
        self.port, self.at = port, at
        self.listener = socket.create_server(("127.0.0.1", 0))
        test.addCleanup(self.listener.close)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with self.listener.accept()[0] as sender, \
                socket.create_connection(("127.0.0.1", self.port)) as server:
            back = threading.Thread(target=self.copy, args=(server, sender, -1), daemon=True)
            back.start()
            self.copy(sender, server, self.at)
            back.join(DEADLINE)

    @staticmethod
    def copy(source, target, at):
        passed = 0
        try:
            while piece := bytearray(source.recv(65536)):
                if passed <= at < passed + len(piece):
                    piece[at - passed] ^= 1
                passed += len(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:  # the one that has gone takes the other along
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
