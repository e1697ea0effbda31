# SPDX-License-Identifier: MIT
"""lastbyte-bench and lastbyte-load, as this harness uses them: one call, one sample."""

import functools
import json
import pathlib
import re
import subprocess
import tempfile

from harness import hdr

# What Google Benchmark adds that says nothing here: one sample is one iteration.
NOISE = {
    "family_index", "per_family_instance_index", "run_type", "repetitions", "repetition_index",
    "threads", "iterations", "real_time", "cpu_time", "time_unit", "name", "run_name",
}
SAMPLE_SECONDS = 300  # no sample may take longer: a hang ends there


class Failed(Exception):
    """A contender gave no sample; the text says why in one line."""


class Driver:
    """build: its directory, or the one that the programs were installed into."""

    def __init__(self, build):
        self.build = pathlib.Path(build)
        installed = (self.build / "lastbyte-bench").is_file()
        bench, tools = ("", "") if installed else ("bench", "tools")
        self.bench = self.build / bench / "lastbyte-bench"
        self.load = self.build / bench / "lastbyte-load"
        self.command = self.build / tools / "lastbyte"
        for binary in (self.bench, self.load):
            if not binary.exists():
                raise Failed(f"{binary} is missing: build with -Dbench=enabled, or leave out "
                             "--build and bench/run builds by itself")
        self.catalogue = self._list()
        self.receiver_core = self.catalogue["receiver_core"]
        self.sender_core = self.catalogue["sender_core"]

    def contenders(self):
        """Those of the driver: dicts with name, what, kind, label, available, why, workloads."""
        return self.catalogue["contenders"]

    @functools.lru_cache(maxsize=None)
    def streams(self, workload, options=()):
        """How many streams the sender makes under these options; both programs read them alike."""
        listed = self._list(f"--workload={workload}", *options)["workloads"]
        return next(entry["streams"] for entry in listed if entry["name"] == workload)

    def _list(self, *options):
        done = self._run([*options, "--list=json"])
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failed(f"{self.bench.name} --list=json: {last_line(done.stderr)}") from None

    def _run(self, arguments, seconds=SAMPLE_SECONDS):
        try:
            return subprocess.run([self.bench, *arguments], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end after {seconds} seconds") from None

    def sample(self, workload, contender, parameter=None, control=False, syscalls=False,
               options=()):
        """One sample: the counters of one iteration, by their names in Google Benchmark's JSON."""
        parts = [workload, contender, *([parameter] if parameter else []),
                 *(["control"] if control else [])]
        with tempfile.NamedTemporaryFile(suffix=".json") as out, \
                tempfile.NamedTemporaryFile(mode="r") as latencies:
            done = self._run([
                f"--workload={workload}", f"--contender={contender}", *options,
                *([f"--control={contender}"] if control else []),
                *([] if syscalls else ["--no-syscalls"]),
                f"--benchmark_filter=^{'/'.join(parts)}/iterations",
                f"--latencies={latencies.name}",
                f"--benchmark_out={out.name}", "--benchmark_out_format=json",
            ])
            sample = sample_of(pathlib.Path(out.name).read_text(), done)
            histogram = hdr.parse(pathlib.Path(latencies.name).read_text())
        if histogram:
            sample["histogram"] = hdr.encode(histogram)
        return sample

    def verify(self, workload, contenders, options=()):
        """An untimed pass with every byte checked, or counted where the contender sees none:
        {benchmark: "" or what was wrong}."""
        done = self._run(["--verify", f"--workload={workload}",
                          f"--contender={','.join(contenders)}", *options])
        found = {}
        for line in done.stdout.splitlines():
            match = re.match(r"^(\S+): (ok(?: \(only counted\))?$|WRONG: (.*))", line)
            if match:
                found[match.group(1)] = match.group(3) or ""
        if not found and done.returncode != 0:
            raise Failed(last_line(done.stderr))
        return found


def sample_of(text, done):
    """The counters of the one benchmark in Google Benchmark's JSON."""
    try:
        benchmarks = json.loads(text)["benchmarks"]
    except (ValueError, KeyError):
        raise Failed(last_line(done.stderr) or f"exit status {done.returncode}") from None
    if not benchmarks:
        raise Failed("lastbyte-bench knows no such benchmark")
    entry = benchmarks[0]
    if entry.get("error_occurred"):
        raise Failed(entry.get("error_message", "failed"))
    if done.returncode != 0:
        raise Failed(last_line(done.stderr) or f"exit status {done.returncode}")
    return {key: rounded(value) for key, value in entry.items() if key not in NOISE}


def rounded(value):
    """Six digits say more than any clock here; the result file stays readable."""
    return float(f"{value:.6g}") if isinstance(value, float) and abs(value) < 1e8 else value


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
