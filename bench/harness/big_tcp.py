#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Lets the kernel make, and put together, packets of IPv4 of more than 64 KiB on a device (BIG
TCP): big_tcp.py DEVICE BYTES, in the device's network namespace. ip(8) can do it since 6.3.
"""

import socket
import struct
import sys

SIZE = 192 << 10
# include/uapi/linux/rtnetlink.h, if_link.h
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 16, 1, 4, 2
IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 63, 64


def allow(device, size):
    attributes = b"".join(struct.pack("=HHI", 8, kind, size)
                          for kind in (IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE))
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(device), 0, 0)
    head = struct.pack("=IHHII", 16 + len(link + attributes), RTM_NEWLINK,
                       NLM_F_REQUEST | NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(head + link + attributes)
        answer = netlink.recv(4096)
    kind, error = struct.unpack_from("=4xH10xi", answer)
    if kind != NLMSG_ERROR or error != 0:
        raise OSError(-error, "the kernel sets no such size")


if __name__ == "__main__":
    try:
        allow(sys.argv[1], int(sys.argv[2]))
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
