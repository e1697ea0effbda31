# SPDX-License-Identifier: MIT
"""ctypes_test.py LIBRARY: the ABI by hand, as another language sees it: each struct begins with its
size, which the program sets. The structs here end where the first layout did, or before."""

import ctypes
import errno
import pathlib
import re
import socket
import sys
import unittest
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_ssize_t, c_uint, c_void_p

LIBRARY = ctypes.CDLL(sys.argv.pop(1))
HEADER = pathlib.Path(__file__).parents[2] / "engine/include/lastbyte/engine.h"
EOF = 0


def config_members():
    """Those that a text sets: no callback, nor what belongs to one, nor the size of another's."""
    body = re.search(r"struct lb_config \{(.*?)\n\};", HEADER.read_text(), re.S)[1]
    names = re.findall(r"(\w+);", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
    others = r"sink|\w+_context|\w+_key_size|greeting_size|note_level|allow_uid\w+"
    return [name for name in names if not re.fullmatch(others, name)]


def sized(structure):
    value = structure()
    value.size = ctypes.sizeof(structure)
    return value


class Error(ctypes.Structure):
    """Shorter than the C one: a text is cut off."""
    _fields_ = [("size", c_size_t), ("code", c_int), ("text", c_char * 20)]


class Description(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("argument", c_char_p),
                ("argument_optional", ctypes.c_bool), ("help", c_char_p)]


WRITE = ctypes.CFUNCTYPE(c_ssize_t, c_void_p, c_void_p, POINTER(c_char), c_size_t)
END = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)


class Sink(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("state_size", c_size_t), ("flags", c_uint),
                ("needs", c_uint), ("descriptors", c_uint), ("threads", c_uint),
                ("open", c_void_p), ("write", WRITE), ("target", c_void_p), ("place", c_void_p),
                ("ready", c_void_p), ("end", END), ("settle", c_void_p), ("receipt_id", c_void_p),
                ("directory", c_void_p), ("check", c_void_p)]


class Ctypes(unittest.TestCase):
    def test_a_stream_comes_to_a_sink(self):
        pieces, ends = [], []

        def write(_stream, _context, data, size):
            pieces.append(data[:size])
            return size

        def end(stream, _context, reason):
            ends.append((reason, LIBRARY.lb_stream_bytes(c_void_p(stream))))
            return 0

        sink = sized(Sink)
        sink.name, sink.write, sink.end = b"python", WRITE(write), END(end)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"to the last byte")
            theirs.shutdown(socket.SHUT_WR)
            self.assertEqual(0, LIBRARY.lb_receive_fd(ours.fileno(), byref(sink), None, None))
        self.assertEqual(b"to the last byte", b"".join(pieces))
        self.assertEqual([(EOF, 16)], ends)

    def test_a_size_that_is_not_set_is_refused(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertEqual(-errno.EINVAL,
                             LIBRARY.lb_receive_fd(ours.fileno(), byref(Sink()), None, None))
        description = Description()
        self.assertFalse(LIBRARY.lb_sink_describe(c_size_t(0), byref(description)))
        description.size = ctypes.sizeof(description)
        self.assertTrue(LIBRARY.lb_sink_describe(c_size_t(0), byref(description)))
        self.assertEqual(b"print", description.name)

    def test_an_error_is_filled_as_far_as_it_goes(self):
        error = sized(Error)
        self.assertEqual(-errno.EINVAL, LIBRARY.lb_address_check(b"nonsense", byref(error)))
        self.assertEqual(-errno.EINVAL, error.code)
        self.assertEqual(b"nonsense: no port;", error.text[:18])
        error = Error()
        self.assertEqual(-errno.EINVAL, LIBRARY.lb_address_check(b"nonsense", byref(error)))
        self.assertEqual(b"", error.text)

    def test_every_member_of_a_configuration_has_its_text(self):
        LIBRARY.lb_config_new.restype = c_void_p
        config = c_void_p(LIBRARY.lb_config_new())
        self.assertIn("listen", config_members())
        for name in config_members():
            with self.subTest(name):
                self.assertIn(0, [LIBRARY.lb_config_set(config, name.encode(), text, None)
                                  for text in (b"1", b"true")])
        LIBRARY.lb_config_free(config)


if __name__ == "__main__":
    unittest.main()
