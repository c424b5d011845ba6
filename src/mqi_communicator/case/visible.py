"""Make text from outside (hosts, folders, DICOM, users) safe for a terminal, a page and a spreadsheet. Pure."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""One line in which every character that is not printable is written as its escape: `\x1b`, `\u202e`, `\n`.

    Control characters control a terminal and forge lines; bidirectional and other format characters (Unicode general
    category Cf) reorder or hide text; undecodable bytes cannot be written at all. Visible text is unchanged, so that
    text may be passed more than once.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def visible_lines(text: str) -> str:
    """The same for text of several lines: line feeds stay."""
    return "\n".join(visible(line) for line in text.split("\n"))


def visible_text(value: object) -> object:
    """The same for a value in a template: anything but a plain string, such as markup, is unchanged."""
    return visible_lines(value) if type(value) is str else value


def visible_in(value: object) -> object:
    """The same for every string in a JSON value, the names in it included."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible_in(name): visible_in(one) for name, one in value.items()}
        case list():
            return [visible_in(one) for one in value]
        case tuple():
            return tuple(visible_in(one) for one in value)
        case _:
            return value
