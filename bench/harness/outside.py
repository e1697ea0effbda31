# SPDX-License-Identifier: MIT
"""How an outside program is measured.

It is pinned to the receiver's core, and its sender to the other. Its processor time is what wait4
reports, less what it had used when it began to listen, so that nobody pays for starting an
interpreter.
"""

import contextlib
import os
import pathlib
import resource
import shutil
import socketserver
import tempfile
import threading

from harness import fronts, metrics, process, senders, workloads
from harness.driver import Failed, last_line, rounded
from harness.programs import Job

GIB = float(1 << 30)
CHECKED = ("--bytes=64M", "--streams=64", "--seconds=0.5")
# What system calls are counted for: their figure, and two sizes of so many units. What a program
# does once is in both, and cancels out.
COUNTED = {
    metrics.BYTES: ("syscalls_per_mib", "--bytes={}M", (32, 160)),
    metrics.STREAMS: ("syscalls_per_stream", "--streams={}", (500, 2500)),
}


class Outside:
    def __init__(self, driver, scratch):
        self.driver = driver
        self.scratch = pathlib.Path(scratch)
        self.digests = {}
        self.identity = self.scratch / "identity.pem"

    def sample(self, program, workload, options=(), rate=None):
        """One timed run; options give the sender's size, rate its messages a second."""
        with self._directory() as directory:
            job = self._job(workload, directory, options)
            sending = (*options, f"--rate={rate}") if rate else options
            return self._run(program, workload, job, sending)

    def verify(self, program, workload):
        """An untimed run that looks at every byte: "" or what was wrong."""
        if not program.sender.known:
            return ""
        try:
            with self._directory() as directory:
                job = self._job(workload, directory, CHECKED, checked=True)
                self._run(program, workload, job, CHECKED)
                return workload.leaves.wrong_content(job, lambda: self._digest(workload))
        except Failed as failure:
            return str(failure)

    def count_syscalls(self, program, workload):
        """{figure: system calls per MiB or stream}; {} where perf may not count them. Untimed."""
        if not (shutil.which("perf") and workload.leaves.countable and program.sender.known
                and not program.serves):
            return {}
        figure, option, sizes = COUNTED[workload.figures]
        counts = []
        for size in sizes:
            with self._directory() as directory:
                out = directory / "perf"
                watch = ("perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o", out, "--")
                options = (option.format(size),)
                try:
                    self._run(program, workload, self._job(workload, directory, options), options,
                              watch)
                    counts.append(counted(out.read_text()))
                except (Failed, OSError):
                    return {}
        if None in counts:
            return {}
        return {figure: rounded((counts[1] - counts[0]) / (sizes[1] - sizes[0]))}

    # ---- one run

    def _directory(self):
        return _Directory(self.scratch)

    def _job(self, workload, directory, options, checked=False):
        keep = checked or workload.leaves.on_disk or workload.leaves.kept
        streams = self.driver.streams(workload.name, options)
        if workload.plain and not self.identity.exists():
            fronts.make_identity(self.identity)
        return Job(process.free_port(), directory / "received" if keep else os.devnull, directory,
                   streams, checked, self.identity)

    def _run(self, program, workload, job, options, watch=()):
        writes = workload.name in program.writes or program.behind
        stdout = os.devnull if writes else job.received
        with tempfile.TemporaryFile() as errors, contextlib.ExitStack() as behind:
            try:
                if program.behind:
                    behind.enter_context(program.behind.start(job, self.driver.sender_core))
                command = [*watch, *program.calls[workload.name](job)]
                with process.Process(command, self.driver.receiver_core, stdout,
                                     errors.fileno()) as receiver:
                    return self._measure(program, workload, job, receiver, options)
            except process.Broken as broken:
                errors.seek(0)
                told = last_line(errors.read().decode(errors="replace"))
                raise Failed(f"{program.name} {broken}" + (f": {told}" if told else "")) from None

    def _measure(self, program, workload, job, receiver, options):
        process.await_listening(receiver, job.port)
        before = receiver.cpu_so_far() or 0.0
        sent = program.sender(self.driver).send(workload, job.port, options)
        if program.behind:
            program.behind.check(sent)
        if program.serves:
            process.await_condition(receiver, lambda: not process.children(receiver.pid))
            receiver.kill(15)
        status = process.await_end(receiver)
        if status != 0 and not program.serves:
            raise process.Broken(f"ended with status {status}")
        wrong = workload.leaves.wrong(job, sent)
        if wrong:
            raise process.Broken(wrong)
        return {**sample_of(workload, sent, receiver.usage, before),
                **rounded_all(workload.leaves.figures(job, sent))}

    # ---- content

    def _digest(self, workload):
        if workload.name not in self.digests:
            self.digests[workload.name] = self._reference(workload)
        return self.digests[workload.name]

    def _reference(self, workload):
        """The digest of what the sender sends, taken by a receiver of our own."""
        plain = workloads.of(workload.plain) if workload.plain else workload
        with Receiver() as receiver:
            thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
            thread.start()
            try:
                senders.Load(self.driver).send(plain, receiver.server_address[1], CHECKED)
            finally:
                receiver.shutdown()
                thread.join()
        return workload.leaves.digest(receiver.streams)


class Receiver(socketserver.ThreadingTCPServer):
    """Keeps all that comes; the streams are whole once it is closed."""

    request_queue_size = 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Keeper)
        self.streams = []


class Keeper(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.streams.append(self.rfile.read())


class _Directory:
    """A directory of its own for one run, and nothing left of it afterwards."""

    def __init__(self, scratch):
        self.path = pathlib.Path(tempfile.mkdtemp(dir=scratch))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def sample_of(workload, sent, usage, before):
    """The counters of a run, by the names that lastbyte-bench gives its own."""
    gib = sent["bytes"] / GIB
    cpu = max(usage.ru_utime + usage.ru_stime - before, 0.0)
    sample = {
        "wall_s": sent["wall_s"],
        "bytes": sent["bytes"],
        "streams": sent["streams"],
        "gib_per_s": gib / sent["wall_s"],
        "receiver_cpu_s": cpu,
        "receiver_cpu_s_per_gib": cpu / gib,
        "receiver_start_cpu_s": before,
        "receiver_user_s": usage.ru_utime,
        "receiver_system_s": usage.ru_stime,
        "receiver_switches": usage.ru_nvcsw,
    }
    if workload.figures is metrics.STREAMS:
        sample["streams_per_s"] = sent["streams"] / sent["wall_s"]
        sample["receiver_cpu_us_per_stream"] = cpu * 1e6 / sent["streams"]
    # A child inherits its parent's peak over fork and exec: a smaller one of its own is not known.
    if usage.ru_maxrss > 1.1 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        sample["receiver_rss_kib"] = usage.ru_maxrss
    if "system_cpu_s" in sent:
        sample["system_cpu_s"] = sent["system_cpu_s"]
        sample["system_cpu_s_per_gib"] = sent["system_cpu_s"] / gib
        if workload.figures is metrics.STREAMS:
            sample["system_cpu_us_per_stream"] = sent["system_cpu_s"] * 1e6 / sent["streams"]
    if "cpu_s" in sent:
        sample["sender_cpu_s"] = sent["cpu_s"]
    for name in ("steal_s", "host_gap_s", "receiver_core_cpu_s", "sender_core_cpu_s", "started_s"):
        if sent.get(name, -1) >= 0:
            sample[name] = sent[name]
    if workload.figures is metrics.LATENCY:
        sample["receiver_cpu_fraction"] = cpu / sent["wall_s"]
    return rounded_all(sample)


def rounded_all(sample):
    return {key: rounded(value) for key, value in sample.items()}


def counted(text):
    """The count in the output of `perf stat -x,`, or None."""
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith("raw_syscalls"):
            return int(fields[0]) if fields[0].isdigit() else None
    return None
