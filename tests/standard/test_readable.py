"""HTML reduced to text: readable for pages as they are, and linear for pages as an enemy writes them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.standard import readable
from planloom.standard.readable import read_html

PAGE = """<!DOCTYPE html><html><head><meta charset=utf-8><title> Tea &amp; <b>more </title>
<style>p { color: red }</style><script>if (a < b) document.write("<p>no</p>")</script></head>
<body><!-- <p>hidden</p> --><nav><a href="/">Home</a> <a href="/x">About</a></nav>
<h1>Green\n tea</h1><p>It is <b>good</b>,\n   and&nbsp;cheap: 3 &lt; 4 &#8364;&#x21;</p>
<ul><li>first</li><li>second <i>one</i></ul>
<table><tr><th>Name<th>Price</tr><tr><td>a</td><td> 1 </td></tr></table>
<pre>def f():\n    return 1</pre><p>a<br>b<hr>c</p>
<svg><text>drawn</text></svg><noscript>Switch on</noscript><p title="a > b">last</p></body></html>"""

TEXT = """Home About

# Green tea

It is good, and cheap: 3 < 4 €!

- first
- second one

Name | Price
a | 1

def f():
    return 1

a
b

c

last"""


def test_a_page() -> None:
    """Headings, lists, tables, code and entities are kept; scripts, styles, comments and drawings go."""
    assert ("Tea & <b>more", TEXT) == read_html(PAGE)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a < b and c > d", "a < b and c > d"),
        ("a<b", "a"),
        ("1<2", "1<2"),
        ("a <", "a <"),
        ("a </", "a"),
        ("x<!-- never closed <p>y", "x"),
        ("x<!---->y", "xy"),
        ("x<!doctype", "x"),
        ("x<?php y ?>z", "xz"),
        ("x</ y>z", "xz"),
        ("x</>z", "xz"),
        ("<p a='>'>y", "y"),
        ('<p a="never closed>y', "y"),
        ("<p a='never closed>y</p><p>z", "y\n\nz"),
        ("<SCRIPT>x</ScRiPt >y", "y"),
        ("<script>x</scripty>z", ""),
        ("<script>never closed <p>y", ""),
        ("<svg>never closed <p>y", "never closed\n\ny"),
        ("<svg/>y<p>z", "y\n\nz"),
        ("<scripty>x", "x"),
        ("<textarea><b>&lt;", "<b><"),
        ("a\0b&#0;c", "ab\ufffdc"),
        ("&#" + "9" * 10_000 + ";&#x" + "f" * 10_000 + ";", "\ufffd\ufffd"),
        ("&unknown; &amp &copy;", "&unknown; & ©"),
        ("a  \n\n b<div></div><div> </div><p> <p>c", "a b\n\nc"),
        ("<pre>a\r\n\t b</pre></pre> c   d", "a\n     b\n\nc d"),
        ("<a/b/c>x", "x"),
        ("<tr><td>a<td><td>c<tr><td><td>e", "a |  | c\n | e"),
        ("a<td>b", "a | b"),
        ("<td>a", "a"),
        ("a<br> <br>b", "a\nb"),
    ],
)
def test_broken_html(source: str, expected: str) -> None:
    """Every text has a reading; what is opened and never closed hides no more than a browser would."""
    assert expected == read_html(source).text


@pytest.mark.parametrize(
    "piece",
    ["<", "</", "<!", "<!-", "<!--", "<!-- -", "<![", "<?", "<a", "<a ", '<a "', "<a '", "<a a='\">", '<a ">" ',
     "<svg>", "<svg", "<script>", "<title>", "</script", "<pre>", "&", "&#", "&#x", "&#1", "&amp", "\n", " \n",
     " <br> ", "<td>", "\t<td> ", "<p> "],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    """400,000 characters of any one construct are done at once; a quadratic scan would take many minutes."""
    read_html(piece * (400_000 // len(piece)))


class Counted:
    """A pattern that counts how often it is asked."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        return getattr(self.pattern, name)


def test_a_search_that_found_nothing_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end tag that is nowhere, or quotes that never close, are looked for once and not once per tag."""
    svg, tag = Counted(readable._END_OF["svg"]), Counted(readable._TAG)
    monkeypatch.setitem(readable._END_OF, "svg", svg)
    monkeypatch.setattr(readable, "_TAG", tag)
    read_html("<svg>" * 100)
    assert 1 == svg.calls
    tag.calls = 0
    read_html('<a ">" ' * 100)
    assert 1 == tag.calls


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "<p",
                "<",
                ">",
                "/",
                "!",
                "--",
                '"',
                "'",
                "script",
                "svg",
                "pre",
                "title",
                " ",
                "\n",
                "&#",
                "&lt;",
                "x",
                "=",
            ]
        )
    ).map("".join)
    | st.text(max_size=80)
)
def test_any_text_can_be_read(source: str) -> None:
    """Nothing makes it raise, and white space is in order."""
    text = read_html(source).text
    assert text == text.strip()
    assert "\0" not in text
