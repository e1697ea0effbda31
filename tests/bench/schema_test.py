# SPDX-License-Identifier: MIT
"""What bench/run writes fits bench/result.schema.json, and what is no result doesn't."""

import copy
import json
import re
import unittest

import support
from run_test import Temporary

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = json.loads((support.BENCH / "result.schema.json").read_text())
RESULTS = sorted((support.BENCH / "results").glob("*.json"))


def faults(document):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [f"{error.json_path}: {error.message[:200]}"
            for error in validator.iter_errors(document)]


@unittest.skipUnless(jsonschema, "no jsonschema here (package python3-jsonschema)")
class Fits(Temporary):
    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_every_result_that_is_kept(self):
        self.assertTrue(RESULTS)
        for path in RESULTS:
            with self.subTest(result=path.name):
                self.assertEqual([], faults(json.loads(path.read_text())))

    def test_what_a_run_writes(self):
        build = support.fake_build(self.directory / "build", wrong=["naive"])
        done = self.run_bench(build, "--pairs=2", "--workload=bulk,latency",
                              "--contender=uring,naive,loop-64k,libuv")
        self.assertEqual(1, done.returncode, done.stderr)  # naive loses a byte
        document = self.only_result().document
        self.assertTrue(document["samples"] and document["failed"] and document["skipped"])
        self.assertEqual([], faults(document))


@unittest.skipUnless(jsonschema, "no jsonschema here (package python3-jsonschema)")
class DoesNotFit(unittest.TestCase):
    def setUp(self):
        self.document = json.loads(RESULTS[0].read_text())
        del self.document["samples"][20:]

    def assert_fault(self, path, change):
        broken = copy.deepcopy(self.document)
        change(broken)
        self.assertEqual([path], [fault.split(":")[0] for fault in faults(broken)])

    def test_what_lacks_a_part(self):
        for part in self.document:
            self.assert_fault("$", lambda document, part=part: document.pop(part))
        self.assert_fault("$.stamp", lambda document: document["stamp"].pop("machine"))
        self.assert_fault("$.samples[3]", lambda document: document["samples"][3].pop("round"))

    def test_figures_that_are_none(self):
        def set_figure(name, value):
            return lambda document: document["samples"][0].update({name: value})

        self.assert_fault("$.samples[0].gib_per_s", set_figure("gib_per_s", "fast"))
        self.assert_fault("$.samples[0].gib_per_s", set_figure("gib_per_s", -1))
        self.assert_fault("$.samples[0]", set_figure("furlongs_per_fortnight", 1))

    def test_another_format(self):
        self.assert_fault("$.format", lambda document: document.update(format=2))


class Names(unittest.TestCase):
    def test_every_figure_of_a_sample_in_c_is_known(self):
        named = set()
        for source in (support.BENCH / "sample").glob("*.c"):
            named |= set(re.findall(r'figures_add\(figures, "(\w+)"', source.read_text()))
        self.assertGreater(len(named), 10)
        self.assertLessEqual(named, set(SCHEMA["$defs"]["sample"]["properties"]))


if __name__ == "__main__":
    unittest.main()
