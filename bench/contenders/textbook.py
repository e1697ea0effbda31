# SPDX-License-Identifier: MIT
"""The textbook's server: accept, recv(1024) until nothing comes, collect the packets, close.

textbook.py PORT: takes one connection. What the textbook prints, this server only counts, which is
to its favour: it writes the number of bytes, or all of them with a second argument `print`.
"""

import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen()
connection, address = server.accept()
packets = []
while True:
    packet = connection.recv(1024)
    if not packet:
        break
    packets.append(packet)
connection.close()
if sys.argv[2:] == ["print"]:
    sys.stdout.buffer.write(b"".join(packets))
else:
    print(sum(map(len, packets)))
server.close()
