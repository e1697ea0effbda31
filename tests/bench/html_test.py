# SPDX-License-Identifier: MIT
"""The HTML page of a result as a text: well formed, alone, losses first. How it looks in a browser
is browser_test.py's."""

import html.parser
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import questions_test
import support
import synthetic
from harness import html_flames, html_page, prose, results

VOID = {"meta", "link", "input", "br", "hr", "img"}
RESULTS = support.BENCH / "results"


class Reader(html.parser.HTMLParser):
    """Fails where tags don't nest; keeps headings, ids, and what would be asked for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.asks, self.headings, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.asks += [given[name] for name in ("src", "href", "data", "srcset", "action", "poster")
                      if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open, f"<{tag}/> outside of a picture"

    def handle_endtag(self, tag):
        last = self.open.pop()
        assert last == tag, f"</{tag}> where <{last}> is open, line {self.getpos()}"

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def page(document=None, **more):
    return html_page.html(results.Results(document or synthetic.document()), "name", **more)


class Alone(unittest.TestCase):
    def check(self, text):
        read = Reader(text)
        self.assertEqual(len(read.ids), len(set(read.ids)), "an id twice")
        for asked in read.asks:
            self.assertTrue(asked == "data:," or asked[1:] in read.ids, asked)
        self.assertNotRegex(text, r"https?:|@import|url\(|fetch\(|XMLHttp|\ssrc=")
        self.assertIn("default-src 'none'", text)
        for tag in ("img", "iframe", "object", "embed"):
            self.assertNotIn(tag, read.tags)
        self.assertEqual("Where we lose", read.headings[0])
        return read

    def test_of_known_truths(self):
        read = self.check(page(notes="## Why\n\n**Because** of [this](https://example.org/x)."))
        for heading in ("Who wins, by how much", "Targets", "bulk", "latency-10k",
                        "The machine, the build, the settings"):
            self.assertIn(heading, read.headings)

    def test_of_every_result_that_is_kept_with_its_flame_graphs(self):
        for path in RESULTS.glob("*.json"):
            flames = html_flames.beside(path)
            self.assertTrue(flames)
            self.check(html_page.html(results.load(path), path.stem, "", flames))

    def test_every_page_that_is_kept(self):
        for path in RESULTS.glob("*.html"):
            self.check(path.read_text())

    def test_of_one_round(self):
        text = page(synthetic.document(pairs=1))
        self.check(text)
        self.assertIn("Nowhere in this run beyond noise", text)

    def test_with_other_paths_and_questions(self):
        veth = synthetic.document()
        veth["settings"].update(path="veth", softirq="receiver")
        text = page(more=[results.Results(veth), questions_test.factored(),
                          questions_test.mapped()])
        read = self.check(text)
        for heading in ("Paths side by side", "What saves: the factorial",
                        "Who takes the least processor time for which messages"):
            self.assertIn(heading, read.headings)
        self.assertRegex(text, r'class="h won l\d" title="uring ÷ epoll: 0\.50')
        self.assertIn("2,000 messages a second", text)

    def test_two_hosts_are_told(self):
        document = synthetic.document()
        document["settings"]["path"] = "hosts"
        document["hosts"] = {side: {"cpu": f"the {side}'s", "interface": {
            "driver": "virtio_net", "offloads": {"gro": "on"}}} for side in ("receiver", "sender")}
        text = page(document)
        self.assertIn("The two hosts", self.check(text).headings)
        self.assertIn("driver: virtio_net, offloads: gro: on", text)

    def test_names_of_others_stay_text(self):
        document = synthetic.document()
        document["skipped"] = [{"contender": "<script>", "why": "a & b"}]
        text = page(document)
        self.check(text)
        self.assertIn("&lt;script&gt;: a &amp; b", text)


class Says(unittest.TestCase):
    def setUp(self):
        self.text = page()

    def section(self, anchor):
        return re.search(rf'<section id="{anchor}">(.*?)</section>', self.text, re.DOTALL)[1]

    def test_the_loss_and_no_win_is_among_the_losses(self):
        lost = self.section("losses").partition("<details>")[0]
        self.assertRegex(lost, r"bulk.*throughput.*loop-256k.*0\.8")
        for name in ("libuv", "trunc", "iperf3"):
            self.assertNotIn(name, lost)

    def test_every_sample_has_its_tick(self):
        ticks = re.search(r'title="uring"[^\0]*?<path d="(.*?)"', self.section("bulk"))[1]
        self.assertEqual(15, ticks.count("v"))

    def test_wins_and_losses_have_their_colours(self):
        overview = self.section("overview")
        self.assertRegex(overview, r'class="h b4" title="bulk, naive')
        self.assertRegex(overview, r'class="h w\d" title="bulk, loop-256k: 0.8')

    def test_numbers_are_sorted_as_numbers(self):
        self.assertRegex(self.section("bulk"), r'data-v="0\.49\d*">0\.50')


class Prose(unittest.TestCase):
    def test_what_notes_use(self):
        self.assertEqual("<p>a <b>b</b> <code>c&lt;d</code> e</p>"
                         "<ul><li>one two</li><li>three</li></ul>",
                         prose.html("a **b** `c<d` [e](f)\n\n- one\n  two\n- three\n"))
        self.assertIn("<th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td>",
                      prose.html("| a | b |\n|---|---|\n| 1 | 2 |"))


class Command(unittest.TestCase):
    def test_it_is_written_beside_the_result(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "name.json"
            results.save(synthetic.document(pairs=2), path)
            done = subprocess.run([sys.executable, support.BENCH / "report", "--html", path],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  timeout=support.DEADLINE)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertEqual(["name.html", "name.json"],
                             sorted(entry.name for entry in Path(directory).iterdir()))
            Reader(path.with_suffix(".html").read_text())


if __name__ == "__main__":
    unittest.main()
