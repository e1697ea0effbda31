# SPDX-License-Identifier: MIT
"""Stands in for lastbyte-load: sends a little, seeded, and waits for the receiver's close."""

import json
import random
import socket
import sys
import time

BYTES = 300_001
options = dict(argument.lstrip("-").partition("=")[::2] for argument in sys.argv[1:])
host, _, port = options["to"].rpartition(":")
begin = time.monotonic()
with socket.create_connection((host, int(port)), timeout=20) as connection:
    connection.sendall(random.Random(1).randbytes(BYTES))
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass
print(json.dumps({"workload": options["workload"], "streams": 1, "bytes": BYTES, "ok": True,
                  "wall_s": time.monotonic() - begin, "cpu_s": 0.01, "system_cpu_s": 0.03,
                  "steal_s": 0.0, "started_s": time.time()}))
