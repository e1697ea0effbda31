# SPDX-License-Identifier: MIT
"""Who sends to an outside program, and what it says of what it sent: a dict with bytes, streams and
wall_s at least."""

import json
import subprocess

from harness.driver import SAMPLE_SECONDS, Failed, last_line
from harness.process import Broken


class Load:
    """lastbyte-load: the code that sends to the contenders in C, with the same bytes."""

    known = True  # what it sends: it can be compared, and counted for each MiB

    def __init__(self, driver):
        self.driver = driver

    def send(self, workload, port, options):
        done = subprocess.run(
            [self.driver.load, f"--workload={workload.name}", f"--to=127.0.0.1:{port}",
             f"--core={self.driver.sender_core}",
             f"--receiver-core={self.driver.receiver_core}", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=SAMPLE_SECONDS)
        try:
            sent = json.loads(done.stdout)
        except ValueError:
            raise Failed("lastbyte-load: " + last_line(done.stderr)) from None
        if done.returncode != 0 or not sent.get("ok"):
            raise Broken(sent.get("why", "did not take the stream"))
        return sent


class Iperf3:
    """iperf3's own client, the only one that its server talks to. It sends what it likes."""

    known = False
    size = 1 << 30

    def __init__(self, driver):
        self.driver = driver

    def send(self, workload, port, options):
        size = self.size // (8 if "--quick" in options else 1)
        done = subprocess.run(
            ["taskset", "--cpu-list", str(self.driver.sender_core), "iperf3", "--json",
             "--client=127.0.0.1", f"--port={port}", f"--bytes={size}", "--length=256K",
             f"--congestion={self.driver.catalogue['congestion']}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=SAMPLE_SECONDS)
        try:
            told = json.loads(done.stdout)
        except ValueError:
            raise Failed(f"iperf3: exit status {done.returncode}") from None
        received = told.get("end", {}).get("sum_received")
        if received is None:
            raise Failed("iperf3: " + told.get("error", "failed"))
        return {"bytes": received["bytes"], "streams": 1, "wall_s": received["seconds"]}
