# SPDX-License-Identifier: MIT
"""What the tests of the benchmarks' harness share: where it is, and a build that is none."""

import os
import pathlib
import stat
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parent.parent / "bench"
sys.path.insert(0, str(BENCH))
DEADLINE = float(os.environ.get("LASTBYTE_TEST_DEADLINE", "60"))


def enter(test, path):
    """A path between sender and receiver, until the test is over; skips it where that can't be."""
    from harness import driver
    try:
        path.__enter__()
    except driver.Failed as failure:
        test.skipTest(str(failure))
    test.addCleanup(path.__exit__)
    return path


def fake_build(directory, **files):
    """A build directory whose lastbyte-bench and lastbyte-load are scripts that know the interface
    and measure nothing. files: further settings for the fakes, read by them from settings.json."""
    import json
    directory = pathlib.Path(directory)
    (directory / "bench").mkdir(parents=True)
    (directory / "settings.json").write_text(json.dumps(files))
    for name, source in (("lastbyte-bench", "fake_bench.py"), ("lastbyte-load", "fake_load.py")):
        path = directory / "bench" / name
        path.write_text(f"#!{sys.executable}\n" + (HERE / source).read_text())
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return directory
