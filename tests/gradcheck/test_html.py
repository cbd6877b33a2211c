import html.parser

from tinymed.gradcheck import Report, Row
from tinymed.gradcheck.html import page, write_html
from tinymed.gradcheck.report import Curve


class Checker(html.parser.HTMLParser):
    """Notes open tags, text, and anything that would be loaded from elsewhere."""

    void = ("meta", "line", "polyline", "br")

    def __init__(self):
        super().__init__()
        self.open, self.words, self.outside, self.seen = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.handle_endtag(tag)

    def handle_data(self, data):
        self.words.append(data)


def parsed(report):
    checker = Checker()
    checker.feed(page(report))
    assert not checker.open and not checker.outside
    return checker, " ".join(" ".join(checker.words).split())


RIGHT = Row("conv2d", "x 2×5×5×1", "gradient", "x", 1e-12, 1e-7)
WRONG = Row("conv2d", "a < b", "adjoint", "kernel (float32)", 0.5, 1e-6, "<Ax, y> = 1, <x, A*y> = 2")


def test_a_right_report():
    curve = Curve("conv2d", "x", [(1e-9, 1e-6), (1e-5, 1e-11), (1e-1, 1e-2)])
    checker, text = parsed(Report([RIGHT], [curve], [curve]))
    assert "all right" in text and "What is wrong" not in text
    assert checker.seen.count("svg") == 2
    assert "Together that makes a" in text and "learns badly" in text


def test_only_checks_that_ran_are_explained():
    _, text = parsed(Report([RIGHT]))
    assert "Every input is moved" in text and "transposed matrix" not in text


def test_failures_are_listed_and_escaped():
    _, text = parsed(Report([RIGHT, WRONG]))
    assert "What is wrong" in text and "<Ax, y> = 1, <x, A*y> = 2" in text and "a < b" in text


def test_the_page_is_written_whole(tmp_path):
    write_html(Report([RIGHT]), tmp_path / "deep" / "report.html")
    assert (tmp_path / "deep" / "report.html").read_text("utf-8").startswith("<!doctype html>")
