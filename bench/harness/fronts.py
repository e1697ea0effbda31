# SPDX-License-Identifier: MIT
"""Servers that take TLS off and pass on what comes: how they are called, and who is behind them."""

import contextlib
import json
import os
import shutil
import subprocess

from harness import process
from harness.driver import Failed, last_line

STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


def make_identity(path):
    """A key and a certificate that it has signed itself, in one PEM file: as ours makes them."""
    if not shutil.which("openssl"):
        raise Failed("openssl is not installed, which would make a certificate")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=bench", "-days", "7", "-keyout", path, "-out",
         f"{path}.certificate"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed("openssl req: " + last_line(done.stderr.decode(errors="replace")))
    with open(path, "ab") as file, open(f"{path}.certificate", "rb") as certificate:
        file.write(certificate.read())


def _address(job):
    """Of whom they pass on to: a Unix socket, which costs them the least."""
    return os.path.join(job.directory, "behind")


def _written(job, text):
    path = os.path.join(job.directory, "configuration")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


# ---- the calls: one worker, as there is one core, and TLS 1.3 without tickets, as with ours

def nginx(job):
    module = f"load_module {STREAM_MODULE};" if os.path.exists(STREAM_MODULE) else ""
    return ["nginx", "-e", "stderr", "-c", _written(job, f"""{module}
        daemon off; master_process off; pid {job.directory}/pid; error_log stderr;
        events {{}}
        stream {{ server {{
            listen 127.0.0.1:{job.port} ssl;
            ssl_certificate {job.identity}; ssl_certificate_key {job.identity};
            ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
            proxy_pass unix:{_address(job)};
        }} }}""")]


def haproxy(job):
    return ["haproxy", "-db", "-f", _written(job, "\n".join((
        "global", "nbthread 1",
        "defaults", "mode tcp", "timeout connect 60s", "timeout client 60s", "timeout server 60s",
        "listen front",
        f"bind 127.0.0.1:{job.port} ssl crt {job.identity} ssl-min-ver TLSv1.3 no-tls-tickets",
        f"server behind unix@{_address(job)}", "")))]


class Behind:
    """Our own command, on the sender's core. It drops the bytes and counts them; where they are to
    be checked it prints them."""

    def __init__(self, command):
        self.command = command
        self.process = self.told = None

    @contextlib.contextmanager
    def start(self, job, core):
        printed = job.checked and job.streams == 1
        self.told = os.path.join(job.directory, "told")
        command = [self.command, "recv", "--listen=unix:" + _address(job), "--quiet",
                   "--stats=json", f"--count={job.streams}",
                   "--sink=stdout" if printed else "--sink=discard"]
        with process.Process(command, core, job.received if printed else os.devnull,
                             self.told) as self.process:
            process.await_condition(self.process, lambda: os.path.exists(_address(job)))
            yield

    def check(self, sent):
        """Once all was sent: that it has all come through."""
        status = process.await_end(self.process)
        with open(self.told, encoding="utf-8") as file:
            text = last_line(file.read())
        if status != 0:
            raise process.Broken(f"passed on what ended badly: {text}")
        got = json.loads(text)["bytes"]
        if got != sent["bytes"]:
            raise process.Broken(f"passed on {got} bytes where {sent['bytes']} were sent")
