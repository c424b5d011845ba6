"""Text as an attacker writes it into names and answers."""

from __future__ import annotations

from hypothesis import strategies as st

CONTROL = "\x00\x07\b\t\n\v\f\r\x1b\x7f\x85\x9b"
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HIDING = "\u00ad\u200b\u200c\u200d\u2028\u2029\u2060\ufeff\ue000\U000e0041\udc80\udcff"
PLAIN = "abc é陽[]=+-@'\"<>&{}%\\/"


def odd_texts(*, without: str = "") -> st.SearchStrategy[str]:
    """Short texts, most of them with such characters."""
    letters = [char for char in CONTROL + TURNING + HIDING + PLAIN if char not in without]
    return st.text(st.sampled_from(letters), max_size=30)


def hidden(text: str) -> list[str]:
    """The characters of one line that a reader does not see, or that do something else than to be seen."""
    return [char for char in text if not char.isprintable()]
