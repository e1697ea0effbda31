# SPDX-License-Identifier: MIT
"""lastbyte help: topics, options, and what it is for programs."""

import json
import unittest

from harness import BACKENDS, main, run


def told(*arguments):
    result = run("help", *arguments)
    return result.status, result.output.decode(), result.errors


class Topics(unittest.TestCase):
    def test_without_a_topic_it_lists_them(self):
        status, text, errors = told()
        self.assertEqual((0, ""), (status, errors))
        for word in ("addresses", "ends", "sinks", "receipts", "Usage: lastbyte help [TOPIC]"):
            self.assertIn(word, text)

    def test_every_topic_that_is_listed_is_explained(self):
        for topic in json.loads(told("--json")[1])["topics"]:
            status, text, errors = told(topic["name"])
            self.assertEqual((0, ""), (status, errors))
            self.assertIn(topic["help"], text)

    def test_a_command_is_explained_as_by_its_help(self):
        for command in ("recv", "send", "probe", "bench"):
            self.assertEqual(run(command, "--help").output.decode(), told(command)[1])

    def test_an_option_is_explained_for_each_command_that_has_it(self):
        for form in ("seal-key", "--seal-key"):
            text = told(form)[1]
            self.assertEqual(["lastbyte recv:", "lastbyte send:"],
                             [line for line in text.splitlines() if line.startswith("lastbyte")])
        self.assertNotIn("lastbyte send:", told("sink")[1])
        for backend in BACKENDS:
            self.assertIn("\n  " + backend, told("--backend")[1])


class Misuse(unittest.TestCase):
    def test_a_typo_is_answered_by_the_nearest(self):
        for given, meant in (("reciepts", "receipts"), ("--greting", "greeting"), ("adresses",
                             "addresses"), ("sned", "send")):
            status, text, errors = told(given)
            self.assertEqual((2, ""), (status, text))
            self.assertIn(f"did you mean lastbyte help {meant}?", errors)

    def test_what_is_like_nothing_gets_the_list(self):
        status, _, errors = told("quantum")
        self.assertEqual((2, 1), (status, errors.count("\n")))
        self.assertIn("lastbyte help lists them", errors)

    def test_one_topic_at_a_time(self):
        status, _, errors = told("sinks", "ends")
        self.assertEqual(2, status)
        self.assertIn("ends: one topic at a time", errors)


class Json(unittest.TestCase):
    def test_it_has_every_option_with_its_values(self):
        table = json.loads(told("--json")[1])
        commands = {command["name"]: {option["name"]: option for option in command["options"]}
                    for command in table["commands"]}
        recv = commands["recv"]
        self.assertEqual(["auto", *BACKENDS],
                         [value["name"] for value in recv["backend"]["values"]])
        self.assertEqual(["json", "text", "none"],
                         [value["name"] for value in recv["stats"]["values"]])
        self.assertIn(("dir", "PATH"), [(value["name"], value["argument"])
                                        for value in recv["sink"]["values"]])
        self.assertTrue(recv["receipt"]["argument_optional"])
        self.assertIsNone(recv["append"]["argument"])
        self.assertEqual("FILE", commands["send"]["seal-key"]["argument"])


if __name__ == "__main__":
    main()
