# SPDX-License-Identifier: MIT
"""lying_runtime.py LIES PORT STREAMS [print|latencies]: receives as a runtime among the contenders
does, a thread for each connection, but for the lies that are asked for."""

import socket
import struct
import sys
import threading
import time

MESSAGE_SIZE = 64
lies = sys.argv[1].split(",")
port, count = map(int, sys.argv[2:4])
wanted = sys.argv[4] if len(sys.argv) > 4 else "count"
clock = time.time_ns if "has-another-clock" in lies else time.monotonic_ns
streams, latencies = [], []


def receive(connection):
    data, read = bytearray(), 0
    with connection:
        while piece := connection.recv(65536):
            now = clock()
            data += piece
            while wanted == "latencies" and len(data) - read >= MESSAGE_SIZE:
                note(now, *struct.unpack_from("<Q", data, read))
                read += MESSAGE_SIZE
    streams.append(data)


def note(now, due):
    if due:
        latencies.append(now - due)


with socket.create_server(("127.0.0.1", port), backlog=1024) as server:
    threads = []
    for _ in range(count):
        threads.append(threading.Thread(target=receive, args=(server.accept()[0],)))
        threads[-1].start()
    for thread in threads:
        thread.join()
if "changes-a-byte" in lies:
    streams[-1][-1] ^= 1
if "forgets-a-message" in lies:
    latencies.pop()
if wanted == "print":
    sys.stdout.buffer.write(b"".join(streams))
else:
    print(sum(map(len, streams)) - ("drops-a-byte" in lies), flush=True)
    sys.stdout.buffer.write(struct.pack(f"<{len(latencies)}Q", *latencies))
