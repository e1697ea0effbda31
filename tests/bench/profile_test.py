# SPDX-License-Identifier: MIT
"""Stacks and the flame graph from a `perf script` that was kept."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

import support
from harness import flame, stacks

SCRIPT = (support.HERE / "perf-script.txt").read_text()
SVG = "{http://www.w3.org/2000/svg}"


class Stacks(unittest.TestCase):
    def setUp(self):
        self.samples = stacks.parse(SCRIPT.splitlines())

    def test_every_sample_is_read(self):
        self.assertEqual(len(self.samples), 5)
        first = self.samples[0]
        self.assertEqual((first.command, first.pid), ("lastbyte-bench", 4711))
        self.assertEqual([frame.name for frame in first.frames],
                         ["main", "recv", "entry_SYSCALL_64_after_hwframe", "tcp_recvmsg",
                          "_copy_to_iter"])
        self.assertEqual([frame.kernel for frame in first.frames],
                         [False, False, True, True, True])

    def test_names_with_spaces_and_unknown_ones(self):
        names = [frame.name for sample in self.samples for frame in sample.frames]
        self.assertIn("std::vector<int, std::allocator<int> >::at(unsigned long)", names)
        self.assertIn("[libc.so.6]", names)
        self.assertFalse(any("+0x" in name for name in names))

    def test_one_process_alone(self):
        self.assertEqual({sample.command for sample in stacks.of_process(self.samples, 4711)},
                         {"lastbyte-bench"})
        self.assertEqual(len(stacks.of_process(self.samples, 4711)), 4)

    def test_shares(self):
        hottest = {frame.name: (own, inside)
                   for frame, own, inside in stacks.hottest(self.samples)}
        self.assertEqual(hottest["_copy_to_iter"], (0.4, 0.4))
        self.assertEqual(hottest["main"], (0, 0.8))
        # A function that calls itself counts once.
        self.assertEqual(hottest["walk"], (0.2, 0.2))

    def test_areas(self):
        areas = dict(stacks.areas(self.samples))
        self.assertEqual(areas["copy to user"], 0.4)
        self.assertEqual(areas["user space"], 0.4)
        self.assertAlmostEqual(sum(areas.values()), 1)


# perf, as far as bench/profile calls it: notes how, and has the samples that were kept, many times.
FAKE_PERF = """#!{python}
import sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
if sys.argv[1] == "script":
    print(open({script!r}).read() * 100)
"""


class Profile(unittest.TestCase):
    """bench/profile in a tree of its own, where it can't write over what is committed."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tree = pathlib.Path(directory.name)
        for part in ("profile", "harness"):
            whole = support.BENCH / part
            (shutil.copytree if whole.is_dir() else shutil.copy)(whole, self.made("bench") / part)
        self.made("build-bench")
        self.log = self.tree / "log"
        perf = self.made("bin") / "perf"
        perf.write_text(FAKE_PERF.format(python=sys.executable, log=str(self.log),
                                         script=str(support.HERE / "perf-script.txt")))
        perf.chmod(0o755)

    def made(self, name):
        path = self.tree / name
        path.mkdir(exist_ok=True)
        return path

    def profile(self, *arguments):
        return subprocess.run(
            [sys.executable, self.tree / "bench" / "profile", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PATH": f"{self.tree / 'bin'}:{os.environ['PATH']}"},
            timeout=support.DEADLINE)

    def files(self, *where):
        folder = self.tree.joinpath(*where)
        return sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []

    def test_a_process_that_runs_already(self):
        done = self.profile(f"--pid={os.getpid()}", "--seconds=3")
        self.assertEqual(0, done.returncode, done.stderr)
        recorded = self.log.read_text().splitlines()[0]
        self.assertIn(f"--pid={os.getpid()} -- sleep 3", recorded)
        stem = f"profile-pid-{os.getpid()}"
        self.assertEqual([stem + ".svg", stem + ".txt"], self.files("build-bench", "profiles"))
        self.assertRegex(done.stdout,
                         rf"process {os.getpid()}, python\S*: \d+ samples, 0\.\d+ CPU-s")
        self.assertIn("of a core", done.stdout)

    def test_committed_files_are_left_alone_unless_told(self):
        self.made("bench/results")
        self.profile(f"--pid={os.getpid()}")
        self.assertEqual([], self.files("bench", "results"))
        self.profile(f"--pid={os.getpid()}", "--keep")
        self.assertEqual(2, len(self.files("bench", "results")))
        self.profile(f"--pid={os.getpid()}", f"--output={self.tree / 'elsewhere'}")
        self.assertEqual(2, len(self.files("elsewhere")))

    def test_what_contradicts_itself_is_refused(self):
        for arguments, word in ((("bulk",), "BACKEND"), ((), "--pid"),
                                (("bulk", "uring", "--pid=1"), "leave out"),
                                (("--pid=1", "--keep", "--output=x"), "not allowed")):
            done = self.profile(*arguments)
            self.assertEqual(2, done.returncode, arguments)
            self.assertIn(word, done.stderr)
        done = self.profile("--pid=999999999")
        self.assertEqual(1, done.returncode)
        self.assertIn("there is no process 999999999", done.stderr)


class Flame(unittest.TestCase):
    def boxes(self, samples):
        text = flame.svg(stacks.fold(samples), "a <title> & more")
        root = ElementTree.fromstring(text)
        return text, {group.get("data-n"): group for group in root.iter(f"{SVG}g")}

    def test_widths_are_shares(self):
        _, boxes = self.boxes(stacks.parse(SCRIPT.splitlines()))
        wide = float(boxes["all"].get("data-w"))
        self.assertAlmostEqual(float(boxes["_copy_to_iter"].get("data-w")), 0.4 * wide, places=1)
        self.assertAlmostEqual(float(boxes["main"].get("data-w")), 0.8 * wide, places=1)
        self.assertIn("2 samples, 40.0%", boxes["_copy_to_iter"].get("data-t"))

    def test_children_lie_inside_their_parents(self):
        _, boxes = self.boxes(stacks.parse(SCRIPT.splitlines()))
        main, recv = boxes["main"], boxes["recv"]
        self.assertGreaterEqual(float(recv.get("data-x")), float(main.get("data-x")))
        self.assertLessEqual(float(recv.get("data-x")) + float(recv.get("data-w")),
                             float(main.get("data-x")) + float(main.get("data-w")) + 0.01)
        self.assertEqual(int(recv.get("data-d")), int(main.get("data-d")) + 1)

    def test_needs_nothing_from_elsewhere(self):
        text, _ = self.boxes(stacks.parse(SCRIPT.splitlines()))
        addresses = re.findall(r"https?://[^\"']*", text)
        self.assertEqual(set(addresses), {"http://www.w3.org/2000/svg"})

    def test_no_samples_is_an_error(self):
        self.assertRaises(ValueError, flame.svg, {}, "empty")


if __name__ == "__main__":
    unittest.main()
