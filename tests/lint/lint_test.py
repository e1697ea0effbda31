# SPDX-License-Identifier: MIT
"""tools/lint-layers and tools/lint-shape, on a small house in which one thing is wrong at a
time."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

PLAN = """engine_rooms = {
  'base': files(
    'base/clock.c',
  ),
  'lane': files(
    'lane/lane.c',
    'lane/pool.c',
  ),
}

engine_annexes = {
  'backends': {'knows': 'base', 'path': '../backends', 'sources': backend_sources},
}
"""

HOUSE = {
    "engine/meson.build": PLAN,
    "engine/backend.h": "struct lb_backend;\n",
    "engine/base/clock.h": "int lb_clock(void);\n",
    "engine/base/clock.c": '#include "clock.h"\n\nint lb_clock(void)\n{\n    return 1;\n}\n',
    "engine/lane/pool.h": "struct lb_pool;\nint lb_pool(void);\n",
    "engine/lane/pool.c": '#include "clock.h"\n#include "pool.h"\n\n'
                          "int lb_pool(void)\n{\n    return lb_clock();\n}\n",
    "engine/lane/lane.h": "int lb_lane(void);\n",
    "engine/lane/lane.c": '#include "backend.h"\n#include "lane.h"\n#include "pool.h"\n\n'
                          "int lb_lane(void)\n{\n    return lb_pool(); /* not lb_clock */\n}\n",
    "backends/epoll.c": '#include "backend.h"\n#include "clock.h"\n\n'
                        "int lb_epoll(void)\n{\n    return lb_clock();\n}\n",
}


class Lint(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for path, text in HOUSE.items():
            self.write(path, text)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run_tool(self, name, *arguments):
        """Its findings."""
        result = subprocess.run([sys.executable, TOOLS / name, *arguments], cwd=self.root,
                                stdout=subprocess.PIPE, text=True, timeout=30, check=False)
        self.assertEqual(bool(result.stdout), bool(result.returncode))
        return result.stdout.splitlines()


class Layers(Lint):
    def assert_finding(self, begin, *words):
        """One finding, and it is that."""
        found = self.run_tool("lint-layers", self.root)
        self.assertEqual(1, len(found), found)
        self.assertTrue(found[0].startswith(begin), found[0])
        for word in words:
            self.assertIn(word, found[0])

    def test_a_good_house(self):
        self.assertEqual([], self.run_tool("lint-layers", self.root))

    def test_an_upward_include(self):
        self.write("engine/base/clock.h", '#include "pool.h"\n')
        self.assert_finding("engine/base/clock.h:1:", "base may not know lane",
                            "move what is needed")

    def test_an_annex_that_knows_too_much(self):
        self.write("backends/epoll.c", '\n#include "lane.h"\n')
        self.assert_finding("backends/epoll.c:2:", "backends may not know lane")

    def test_an_include_by_path(self):
        self.write("engine/lane/pool.h", '#include "base/clock.h"\nint lb_pool(void);\n')
        self.assert_finding("engine/lane/pool.h:1:", 'include "clock.h"')

    def test_an_include_of_nothing(self):
        self.write("engine/lane/pool.h", '#include "pools.h"\nint lb_pool(void);\n')
        self.assert_finding("engine/lane/pool.h:1:", '"pools.h" is in no room')

    def test_an_upward_call(self):
        """Declared by hand."""
        self.write("engine/base/clock.c", "int lb_pool(void);\n\n"
                   "int lb_clock(void)\n{\n    return lb_pool();\n}\n")
        found = self.run_tool("lint-layers", self.root)
        self.assertTrue(any("engine/base/clock.c:5: base may not use lane's lb_pool" in line
                            for line in found), found)

    def test_a_circle(self):
        self.write("engine/lane/pool.c", '#include "lane.h"\n#include "pool.h"\n\n'
                   "int lb_pool(void)\n{\n    return lb_lane();\n}\n")
        self.assert_finding("engine/lane/lane:", "a circle of files",
                            "engine/lane/lane uses lb_pool of engine/lane/pool",
                            "engine/lane/pool uses lb_lane of engine/lane/lane")

    def test_a_name_twice(self):
        self.write("engine/lane/clock.h", "")
        found = self.run_tool("lint-layers", self.root)
        self.assertTrue(any("base has a header of this name already" in line for line in found),
                        found)

    def test_a_file_that_is_in_no_list(self):
        self.write("engine/lane/pipe.c", "")
        self.assert_finding("engine/lane/pipe.c:", "not in the list of lane")

    def test_a_plan_without_rooms(self):
        """It must not pass for want of anything to check."""
        self.write("engine/meson.build", "rooms = {}\n")
        self.assert_finding("engine/meson.build:", "lists no room")


class Shape(Lint):
    def check(self, path, text):
        self.write(path, text)
        return self.run_tool("lint-shape", path)

    def function(self, lines):
        return "static void f(void)\n{\n" + "    g();\n" * (lines - 3) + "}\n"

    def test_width(self):
        self.assertEqual([], self.check("a.c", "x" * 100 + "\n"))
        self.assertIn("a.c:2: 101 columns", self.check("a.c", "\n" + "x" * 101 + "\n")[0])
        self.assertEqual([], self.check("a.c", "/* " + "ä" * 97 + "\n"))

    def test_files(self):
        self.assertEqual([], self.check("a.h", "\n" * 600))
        self.assertIn("601 lines", self.check("a.h", "\n" * 601)[0])

    def test_functions(self):
        self.assertEqual([], self.check("a.c", self.function(70)))
        self.assertIn("a.c:1: 71 lines of static void f(void)",
                      self.check("a.c", self.function(71))[0])

    def test_long_heads_count(self):
        head = "static void f(int a,\n              int b)\n{\n"
        self.assertIn("71 lines", self.check("a.c", head + "    g();\n" * 67 + "}\n")[0])

    def test_functions_of_python(self):
        text = "def f():\n" + "    g()\n" * 70
        self.assertIn("a.py:1: 71 lines of f", self.check("a.py", text)[0])
        self.assertIn("71 lines of f", self.check("tool", "#!/usr/bin/env python3\n" + text)[0])


if __name__ == "__main__":
    unittest.main()
