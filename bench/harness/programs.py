# SPDX-License-Identifier: MIT
"""What people really receive with, as contenders: what each is called, and how."""

import collections
import os
import pathlib
import shutil
import subprocess

from harness import fronts, kinds, senders

TEXTBOOK = pathlib.Path(__file__).resolve().parent.parent / "contenders" / "textbook.py"


class Job(collections.namedtuple("Job", "port received directory streams checked identity")):
    """What a program is asked to do: listen on port; put one stream into the file `received`, or
    `streams` streams into `directory`. checked: every byte must come out, the run is not timed.
    identity: a PEM file of a key and its certificate, of a server that is reached through TLS."""

    __slots__ = ()


class Program:
    """calls: {workload: function(Job) -> command}. Bytes are expected on its standard output,
    but for workloads in `writes`, where it opens the file itself."""

    label = ""

    def __init__(self, name, what, calls, needs=None, writes=(), kind=kinds.PROGRAM,
                 serves=False, refusal=lambda: "", sender=senders.Load, behind=None):
        self.name = name
        self.what = what
        self.calls = calls
        self.needs = needs or name
        self.writes = writes
        self.kind = kind
        self.serves = serves    # does not end by itself
        self.refusal = refusal  # why an installed program is of no use, or ""
        self.sender = sender    # who sends to it
        self.behind = behind    # passes on what it receives: to whom

    def missing(self):
        """Why it can't run here, or ""."""
        if not shutil.which(self.needs):
            return f"{os.path.basename(self.needs)} is not installed"
        return self.refusal()

    def entry(self):
        return {"name": self.name, "what": self.what, "kind": self.kind.name, "label": self.label,
                "workloads": sorted(self.calls)}


# ---- the calls

def textbook(job):
    return ["python3", TEXTBOOK, job.port, *(["print"] if job.checked else [])]


def nc(job):
    return ["nc", "-l", "127.0.0.1", job.port]


def ncat(job):
    return ["ncat", "-l", "--recv-only", "127.0.0.1", job.port]


def ncat_ssl(job):
    return ["ncat", "-l", "--recv-only", "--ssl", "--ssl-cert", job.identity, "--ssl-key",
            job.identity, "127.0.0.1", job.port]


def socat_ssl(job):
    return ["socat", "-b", "262144", "-u", f"OPENSSL-LISTEN:{job.port},bind=127.0.0.1,reuseaddr,"
            f"cert={job.identity},verify=0", "STDOUT"]


def mbuffer(job):
    return ["mbuffer", "-q", "-4", "-I", job.port]


def iperf3(job):
    return ["iperf3", "--server", "--one-off", "--bind=127.0.0.1", f"--port={job.port}"]


def _socat(*options):
    def call(job, target="STDOUT"):
        return ["socat", *options, "-u", f"TCP-LISTEN:{job.port},bind=127.0.0.1,reuseaddr", target]
    return call


def _socat_file(*options):
    return lambda job: _socat(*options)(job, f"OPEN:{job.received},creat,trunc")


def socat_fork(job):
    return ["socat", "-u",
            f"TCP-LISTEN:{job.port},bind=127.0.0.1,reuseaddr,fork,backlog=128",
            f"SYSTEM:cat >{job.directory}/$$"]


def _lastbyte(command, *options):
    def call(sink, *more):
        return lambda job: [command, "recv", f"--listen=127.0.0.1:{job.port}", "--quiet",
                            "--stats=none", *options,
                            *(word.format(job=job) for word in more or ("--once",)),
                            "--sink=stdout" if job.checked and sink == "discard"
                            else "--sink=" + sink.format(job=job)]
    return {
        "bulk": call("discard"),
        "file": call("file:{job.received}"),
        "dir": call("dir:{job.directory}", "--count={job.streams}"),
        "tls-bulk": call("discard", "--once", "--tls", "--tls-cert={job.identity}",
                         "--tls-key={job.identity}"),
    }


def _other_nc():
    done = subprocess.run(["nc", "-h"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return "" if b"OpenBSD" in done.stdout else "nc is not OpenBSD's (package netcat-openbsd)"


def _both(call):
    return {"tls-bulk": call, "tls-short": call}


def programs(lastbyte):
    """All of them; lastbyte is our own command, of the build under test."""
    def no_one_behind():
        return "" if shutil.which(lastbyte) else "lastbyte, which would be behind it, is not built"
    return (
        Program("lastbyte-recv", "lastbyte recv", _lastbyte(lastbyte), needs=str(lastbyte),
                writes=("file", "dir"), kind=kinds.OURS),
        Program("textbook", "the textbook's server in Python, recv(1024) into a list",
                {"bulk": textbook}, needs="python3"),
        Program("nc", "nc -l", {"bulk": nc, "file": nc}, refusal=_other_nc),
        Program("ncat", "ncat -l --recv-only", {"bulk": ncat}),
        Program("socat", "socat -u", {"bulk": _socat(), "file": _socat_file()}, writes=("file",)),
        Program("socat-256k", "socat -u -b 262144",
                {"bulk": _socat("-b", "262144"), "file": _socat_file("-b", "262144")},
                needs="socat", writes=("file",)),
        Program("ncat-ssl", "ncat -l --ssl --recv-only", {"tls-bulk": ncat_ssl}, needs="ncat"),
        Program("socat-256k-ssl", "socat -u -b 262144 OPENSSL-LISTEN:…", {"tls-bulk": socat_ssl},
                needs="socat"),
        Program("nginx-stream", "nginx, stream, TLS ends there", _both(fronts.nginx),
                needs="nginx", serves=True, refusal=no_one_behind,
                behind=fronts.Behind(lastbyte)),
        Program("haproxy", "HAProxy, mode tcp, TLS ends there", _both(fronts.haproxy),
                serves=True, refusal=no_one_behind, behind=fronts.Behind(lastbyte)),
        Program("socat-fork", "socat -u TCP-LISTEN:…,fork SYSTEM:'cat >…'", {"dir": socat_fork},
                needs="socat", writes=("dir",), serves=True),
        Program("mbuffer", "mbuffer -I", {"bulk": mbuffer}),
        Program("iperf3", "iperf3, which brings its own sender", {"bulk": iperf3},
                kind=kinds.OWN_SENDER, sender=senders.Iperf3),
    )
