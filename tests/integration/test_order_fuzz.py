"""Orders and questions with anything in them: the installed script takes those of its grammar, and only those.

The grammar is here a second time, by regular expressions of Python (docs/protocol.md). What the script writes down for
the job is what this one says, or the order is refused.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.seldom import seldom
from tests.stolen_key import KEY, SHELLS, TOKEN, Installed, shell

from mqi_communicator.remote.verbs import library

pytestmark = pytest.mark.real

NEW = os.environ.get("MQI_EXAMPLES") == "new"
ROOT, ENGINE = "/srv/work", "/opt/engine"
WORD = rb"[^\x00-\x1f\x7f]+"
NUMBER = rb"(?:0|[1-9][0-9]{0,9})"
COUNT = rb"[1-9][0-9]{0,9}"
BELOW = rb"(?![-/~])(?!(?:.*/)?\.\.(?:/|$))" + WORD
VALUES = {
    b"token": re.escape(TOKEN.encode()),
    b"root": re.escape(ROOT.encode()) + b"/?",
    b"limit": COUNT,
    b"grace": COUNT,
    b"gpu": rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}",
    b"gpu-look": NUMBER + rb"\t" + NUMBER,
    b"folder": BELOW,
    b"product": BELOW,
    b"output": BELOW,
    b"show": rb"\.\./\.\./input/" + BELOW,
}
ORDER = rb"TRLG(?:g+l?)?f*p*(?:Po*)*s*E"  # a letter for each line
LETTER = {
    b"token": b"T", b"root": b"R", b"limit": b"L", b"grace": b"G", b"gpu": b"g", b"gpu-look": b"l", b"folder": b"f",
    b"product": b"p", b"program": b"P", b"output": b"o", b"show": b"s", b"end": b"E",
}  # fmt: skip


def program(words: Sequence[bytes]) -> bytes | None:
    """What is written down for a line of a program; None for what is no such line."""
    if len(words) < 5 or not all(re.fullmatch(WORD, word) for word in words):
        return None
    _, name, limit, count, *rest = words
    if not (
        re.fullmatch(rb"[a-z][a-z0-9-]{0,31}", name) and re.fullmatch(NUMBER, limit) and re.fullmatch(NUMBER, count)
    ):
        return None
    settings_, (argv0, *_) = rest[: int(count)], rest[int(count) :] or [b"-"]
    if argv0.startswith(b"-") or b"=" in argv0:
        return None
    if not all(re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*=.+", one, re.DOTALL) for one in settings_):
        return None
    named = [one.partition(b"=")[0] for one in settings_]
    barred = [b"the variable " + variable for variable in named if variable != b"NAMED"]
    barred += [argv0] if argv0 not in (ENGINE.encode(), b"true") else []
    return b"refused\t" + barred[0] if barred else b"\t".join(words)


def checked(order: bytes) -> bytes | None:
    """What is written down for an order; None for what is none."""
    *lines, rest = order.split(b"\n")
    kinds = [line.split(b"\t")[0] for line in lines]
    if rest or not re.fullmatch(ORDER, b"".join(LETTER.get(kind, b"?") for kind in kinds)):
        return None
    out = []
    for kind, line in zip(kinds, lines, strict=True):
        value = line[len(kind) + 1 :]
        if kind == b"program":
            written = program(line.split(b"\t"))
        elif kind == b"end":
            written = line if line == b"end" else None
        else:
            written = line if re.fullmatch(VALUES[kind], value) else None
        if written is None:
            return None
        out.append(written)
    return b"".join(line + b"\n" for line in out)


LINES = (
    f"token\t{TOKEN}", f"root\t{ROOT}", "limit\t30", "grace\t1", "gpu\tGPU-1", "gpu-look\t100\t0", "folder\tOutputs",
    "product\tOutputs/a b", f"program\tengine\t0\t1\tNAMED=x\t{ENGINE}\t../../input/common/é", "output\tOutputs/a b",
    "program\tcheck\t9\t0\ttrue", "show\t../../input/common/x", "end",
)  # fmt: skip
GOOD = "".join(line + "\n" for line in LINES).encode()
PROGRAM = 8  # its place among the lines
HOSTILE = (
    "", " ", "0", "1", "2", "00", "01", "0x1", "+1", "-1", "1 ", " 1", "1e3", "9999999999", "99999999999",
    "a[$(id)]", "PPID",
    "..", "../..", "a/../b", "a/..", "/etc/passwd", "~/x", "~", ".", "./x", "...", "-x", "--", "a=b", "A=b", "A=",
    "=", "NAMED=y",
    "LD_PRELOAD=x", "$(id)", "`id`", "*", "[", "\\", "\\c", "%s", "'", '"', "\x01", "\x7f", "\r", "\x1b[2J", "é", "sh",
    "true", ENGINE, "program", "only", "refused", "sbatch", "end", "show", "../../input/x", "../../input/..", "x" * 70,
)  # fmt: skip
words = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8))


@st.composite
def orders(draw: st.DrawFn) -> bytes:
    """A good order with up to three changes, and further words for its first program."""
    lines = [line.split("\t") for line in LINES]
    lines[PROGRAM] += draw(st.lists(words, max_size=2))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2, 3)))):
        at = draw(st.integers(0, len(lines) - 1))
        place = draw(st.integers(0, len(lines[at])))
        match draw(st.sampled_from(("word", "word", "word", "insert", "remove", "drop", "twice", "swap"))):
            case "word":
                lines[at][place : place + 1] = [draw(words)]
            case "insert":
                lines[at].insert(place, draw(words))
            case "remove":
                del lines[at][place : place + 1]
            case "drop":
                del lines[at]
            case "twice":
                lines.insert(at, list(lines[at]))
            case "swap":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        if not lines:
            break
    return "".join("\t".join(line) + "\n" for line in lines).encode() + draw(st.sampled_from((b"", b"", b"", b"end")))


@pytest.fixture(scope="module", params=seldom(SHELLS, often=["dash"]))
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], bytes | None]:
    """The script's own reader, in a shell."""
    script = tmp_path_factory.mktemp("reader") / "reader"
    named = f"MQI_ONLY={ROOT} MQI_PROGRAMS='{ENGINE}\n' MQI_VARIABLES='NAMED\n'"
    script.write_text(f"{library()}\nroot={ROOT} token={TOKEN} {named}\nread_order direct\n")
    argv = (
        *((str(shell(request.param)), "sh") if request.param == "busybox" else (str(shell(request.param)),)),
        str(script),
    )

    def run(order: bytes) -> bytes | None:
        done = subprocess.run(argv, input=order, capture_output=True, timeout=60, check=False)
        assert done.stderr == b""
        return done.stdout if done.returncode == 0 else None

    return run


def test_the_grammar_here_takes_a_good_order():
    assert checked(GOOD) == GOOD


@given(order=orders())
@example(order=GOOD.removesuffix(b"end\n"))
@example(order=GOOD + b"end\n")
@example(order=GOOD + b"x")
@settings(max_examples=1500 if NEW else 100)  # in each shell
def test_an_order_is_read_as_its_grammar_says(read: Callable[[bytes], bytes | None], order: bytes):
    assert read(order) == checked(order)


FORMS = (
    r"(hello|clock|needs|gpus)", r"host (direct|slurm)", r"(workspace|space|left|slurm_cancel) R",
    r"(settled|settle) R K [0-9a-f]{64}", r"(remove|runs) R K", r"submit R T N (anywhere|plain)", r"slurm_submit R T",
    r"poll R N C( gpus)?", r"slurm_poll R N C N C", r"cancel R N",
)  # fmt: skip
PLACES = {"T": r"(?:[A-Za-z0-9]\w{0,63}-b\d{1,6}-r\d{1,6})", "K": r"(?:[A-Za-z0-9]\w{0,63})"}
PLACES |= {"R": "/ROOT/?"}  # no key has a slash
PLACES |= {"N": NUMBER.decode(), "C": COUNT.decode()}
VERBS = (
    "hello", "clock", "gpus", "host", "workspace", "space", "left", "settled", "remove", "runs", "poll", "cancel",
    "submit", "receive", "trouble", "installed", "slurm_submit", "x",
)  # fmt: skip
PLAIN = (
    "/ROOT", "/ROOT/", "/ROOT/..", "/", "/tmp", KEY, "..", "_x", TOKEN, f"{KEY}-b1-r", "0", "1", "01", "0x1", "-1",
    "+1", "anywhere", "plain", "gpus", "direct", "0" * 64, "0" * 63, "~", "a=b", "99999999999",
)  # fmt: skip


def is_question(line: str) -> bool:
    forms = (re.sub("[RKTNC](?![a-z])", lambda found: PLACES[found[0]], form) for form in FORMS)
    return any(re.fullmatch(form, line, re.ASCII) for form in forms)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("site"), shell("dash"))


@given(verb=st.sampled_from(VERBS), asked=st.lists(st.sampled_from(PLAIN), max_size=5))
@settings(max_examples=1500 if NEW else 100)
def test_a_question_is_taken_as_its_grammar_says(site: Installed, verb: str, asked: list[str]):
    output = site.ask(verb, *(word.replace("/ROOT", str(site.root)) for word in asked))
    refused = "mqi-trouble bad-word" in output.stdout or "mqi-trouble bad-verb" in output.stdout
    assert refused != is_question(" ".join((verb, *asked)))
    assert site.untouched()
