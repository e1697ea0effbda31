#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""receive.py LIBRARY ADDRESS: streams come to functions of Python's, by ctypes.

Shows: lb_config_new and lb_config_set, so that one struct alone has to be known, the sink's; its
size; callbacks that are kept alive; a stop from a callback. Each peer is told the SHA-256 of its
stream; one that sends "stop" ends the server."""

import ctypes
import hashlib
import sys
from ctypes import CFUNCTYPE, POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_ssize_t, c_uint
from ctypes import c_uint64, c_void_p

EOF = 0
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p)
WRITE = CFUNCTYPE(c_ssize_t, c_void_p, c_void_p, POINTER(c_char), c_size_t)
END = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class Sink(ctypes.Structure):
    """As lastbyte/sink.h has it; what it has behind check would be NULL here."""
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("state_size", c_size_t), ("flags", c_uint),
                ("needs", c_uint), ("descriptors", c_uint), ("threads", c_uint),
                ("open", OPEN), ("write", WRITE), ("target", c_void_p), ("place", c_void_p),
                ("ready", c_void_p), ("end", END), ("settle", c_void_p), ("receipt_id", c_void_p),
                ("directory", c_void_p), ("check", c_void_p)]


class Error(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("code", c_int), ("text", c_char * 500)]


def load(path):
    library = ctypes.CDLL(path)
    library.lb_config_new.restype = c_void_p
    library.lb_config_set.argtypes = [c_void_p, c_char_p, c_char_p, c_void_p]
    library.lb_config_set_sink.argtypes = [c_void_p, c_void_p, c_void_p]
    library.lb_config_free.argtypes = [c_void_p]
    library.lb_engine_open.argtypes = [c_void_p, c_void_p, c_void_p]
    library.lb_engine_address.argtypes = [c_void_p, c_size_t]
    library.lb_engine_address.restype = c_char_p
    for name in ("start", "stop", "close"):
        getattr(library, "lb_engine_" + name).argtypes = [c_void_p]
    library.lb_engine_wait.argtypes = [c_void_p, c_int]
    library.lb_stream_id.argtypes = [c_void_p]
    library.lb_stream_id.restype = c_uint64
    library.lb_stream_say.argtypes = [c_void_p, c_char_p, c_size_t]
    library.lb_stream_say.restype = c_ssize_t
    return library


class Server:
    def __init__(self, library, address):
        self.library, self.digests, self.engine = library, {}, c_void_p()
        # Kept: the library calls what these hold as long as the engine is there.
        self.calls = OPEN(self.open), WRITE(self.write), END(self.end)
        self.sink = Sink(size=ctypes.sizeof(Sink), name=b"python", open=self.calls[0],
                         write=self.calls[1], end=self.calls[2])
        self.config = c_void_p(library.lb_config_new())
        self.error = Error(size=ctypes.sizeof(Error))
        for name, text in ((b"listen", address.encode()), (b"max_bytes", b"100000000")):
            self.check(library.lb_config_set(self.config, name, text, byref(self.error)))
        library.lb_config_set_sink(self.config, ctypes.addressof(self.sink), None)
        self.check(library.lb_engine_open(byref(self.engine), self.config, byref(self.error)))

    def check(self, rc):
        if rc < 0:
            raise OSError(-rc, self.error.text.decode())

    def open(self, stream, _context):
        self.digests[self.library.lb_stream_id(stream)] = hashlib.sha256(), bytearray()
        return 0

    def write(self, stream, _context, data, size):
        digest, begin = self.digests[self.library.lb_stream_id(stream)]
        piece = ctypes.string_at(data, size)  # a copy: lent only until we return
        digest.update(piece)
        begin.extend(piece[:4 - len(begin)])
        return size

    def end(self, stream, _context, end):
        digest, begin = self.digests.pop(self.library.lb_stream_id(stream))
        if end == EOF:
            answer = digest.hexdigest().encode() + b"\n"
            self.library.lb_stream_say(stream, answer, len(answer))
        if begin == b"stop":
            self.library.lb_engine_stop(self.engine)
        return 0

    def run(self):
        print("listening on", self.library.lb_engine_address(self.engine, 0).decode(),
              file=sys.stderr, flush=True)
        self.check(self.library.lb_engine_start(self.engine))
        while self.library.lb_engine_wait(self.engine, 100) < 0:
            pass  # so that Ctrl-C is heard
        self.library.lb_engine_close(self.engine)
        self.library.lb_config_free(self.config)


if __name__ == "__main__":
    Server(load(sys.argv[1]), sys.argv[2]).run()
