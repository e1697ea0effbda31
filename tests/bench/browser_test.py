# SPDX-License-Identifier: MIT
"""The HTML page of a result in a browser: nothing is asked for, nothing goes wrong, every picture
is drawn, on a desktop and a phone, in light and dark. Pictures of all that are kept in
LASTBYTE_PICTURES, if that names a directory. Argument: the page; else one with known truths."""

import os
import pathlib
import sys
import tempfile
import unittest

import browser
import questions_test
import support
import synthetic
from harness import html_flames, html_page, results

GIVEN = pathlib.Path(sys.argv.pop(1)).resolve() if sys.argv[1:] else None
SHAPES = {"desktop": (1280, 900), "phone": (390, 844)}
# What has no size, or nothing inside that has some.
EMPTY = """[...document.querySelectorAll("main svg:not(svg svg)")].filter(svg =>
    svg.closest("details:not([open])") === null && svg.checkVisibility() && (
    svg.getBoundingClientRect().width < 40 || svg.getBoundingClientRect().height < 10 ||
    ![...svg.querySelectorAll("rect, path, line, circle, text")].some(part =>
        part.getBoundingClientRect().width + part.getBoundingClientRect().height > 0)))
    .map(svg => svg.outerHTML.slice(0, 200))"""
SORTED = """(async () => {
    const table = document.querySelector("#bulk table.sortable");
    table.closest("details").open = true;
    const button = table.tHead.rows[0].cells[2].querySelector("button");
    const values = () => [...table.tBodies[0].rows].map(row => parseFloat(row.cells[2].dataset.v));
    button.click(); const up = values();
    button.click(); return [up, values()];
})()"""
ZOOMED = """(() => {
    const [flame] = document.querySelectorAll(".flame");
    const boxes = [...flame.querySelectorAll(".graph > svg")];
    const box = boxes.find(box => parseFloat(box.getAttribute("width")) < 60);
    const event = name => box.dispatchEvent(new MouseEvent(name, {bubbles: true}));
    event("mouseover"); event("click");
    return [box.getAttribute("width"), flame.querySelector(".told").textContent,
            boxes.filter(box => box.style.display === "none").length];
})()"""


def page(directory):
    """A page with what can be in there."""
    if GIVEN:
        return GIVEN
    path = pathlib.Path(directory) / "page.html"
    flames = html_flames.beside(support.BENCH / "results" / "none.json")
    path.write_text(html_page.html(results.Results(synthetic.document()), "page", "**Why** `not`.",
                                   flames, [questions_test.factored(), questions_test.mapped()]))
    return path


@unittest.skipUnless(browser.PROGRAM, "no chromium here (tools/setup test-browser)")
class InABrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.page = page(cls.directory.name)
        cls.browser = browser.Browser().__enter__()
        cls.addClassCleanup(cls.browser.__exit__)

    def look(self, shape, scheme):
        self.browser.requests.clear()
        self.browser.said.clear()
        self.browser.look_like(*SHAPES[shape], scheme)
        self.browser.open(self.page)

    def test_it_is_all_there_and_asks_nobody(self):
        papers = set()
        for shape in SHAPES:
            for scheme in ("light", "dark"):
                with self.subTest(shape=shape, scheme=scheme):
                    self.look(shape, scheme)
                    self.assertEqual([], self.browser.ask(EMPTY))
                    pictures = self.browser.ask("document.querySelectorAll('svg').length")
                    self.assertGreater(pictures, 5)
                    self.assertTrue(self.browser.ask(
                        "document.documentElement.scrollWidth <= innerWidth"), "it is too wide")
                    papers.add(self.browser.ask("getComputedStyle(document.body).backgroundColor"))
                    self.assertEqual([], self.browser.said)
                    asked = [url for url in self.browser.requests if not url.startswith("data:")]
                    self.assertEqual([f"file://{self.page}"], asked)
                    self.keep(f"{shape}-{scheme}")
        self.assertEqual(2, len(papers), "light and dark look the same")

    def keep(self, name):
        if directory := os.environ.get("LASTBYTE_PICTURES"):
            self.browser.picture(pathlib.Path(directory) / f"{name}.png")

    def test_a_click_sorts(self):
        self.look("desktop", "light")
        up, down = self.browser.ask(SORTED)
        self.assertEqual(sorted(up), up)
        self.assertEqual(sorted(down, reverse=True), down)
        self.assertNotEqual(up, down)
        self.assertEqual([], self.browser.said)

    def test_a_click_zooms_a_flame_graph(self):
        self.look("phone", "dark")
        width, told, hidden = self.browser.ask(ZOOMED)
        self.assertEqual("100%", width)
        self.assertIn(" samples, ", told)
        self.assertGreater(hidden, 0)
        self.assertEqual([], self.browser.said)

    def test_losses_come_first(self):
        self.look("desktop", "light")
        self.assertEqual("losses", self.browser.ask("document.querySelector('section').id"))


if __name__ == "__main__":
    unittest.main()
