"""What somebody may try who has the key that does one thing, each way by its name, under each shell."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.seldom import seldom
from tests.stolen_key import KEY, MARK, SECRET, SHELLS, TOKEN, Installed, shell

pytestmark = pytest.mark.real

OUT = "../../../../outside"


def installed(folder: Path, name: str) -> Installed:
    made = Installed(folder, shell(name))
    made.send()
    return made


@pytest.fixture(params=seldom(SHELLS, often=["dash"]))
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Installed:
    return installed(tmp_path, request.param)


@pytest.fixture(scope="module", params=seldom(SHELLS, often=["dash"]))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """One for all that is refused, for nothing of that may leave anything."""
    return installed(tmp_path_factory.mktemp("kept"), request.param)


@pytest.fixture
def of_a_run(kept: Installed) -> Iterator[Installed]:
    """The same, with the folder of a run."""
    kept.run.mkdir(parents=True)
    yield kept
    kept.run.rmdir()


def program(*words: str, count: str = "0", limit: str = "0") -> tuple[str, ...]:
    return ("program", "p", limit, count, *words)


TOUCH = "touch {outside}/owned"
LINES: dict[str, tuple[tuple[str, ...], ...]] = {
    "a count in hex": (program("/bin/true", "/bin/sh", "-c", TOUCH, count="0x1"),),
    "a count in octal": (program("/bin/true", "/bin/sh", "-c", TOUCH, count="01"),),
    "a count with a leading zero": (program("NAMED=b", "{engine}", count="01"),),
    "a count of two zeros": (program("{engine}", count="00"),),
    "a limit with a leading zero": (program("{engine}", limit="010"),),
    "a GPU's need with a leading zero": (("gpu", "0"), ("gpu-look", "01", "1"), program("{engine}")),
    "a count with a plus": (program("/bin/true", "/bin/sh", "-c", TOUCH, count="+1"),),
    "a count below nothing": (program("{engine}", count="-1"),),
    "a count with a blank": (program("A=b", "{engine}", count="1 "),),
    "a count that is an expression": (program("{engine}", count="a[$({touch})]"),),
    "a count that is a variable": (program("{engine}", count="PPID"),),
    "a count beyond all bits": (program("{engine}", count="18446744073709551616"),),
    "a count of more than there is": (program("{engine}", count="1"),),
    "no count": (("program", "p", "0", "{engine}"),),
    "a limit that is an expression": (program("{engine}", limit="a[$({touch})]"),),
    "a limit in hex": (program("{engine}", limit="0x10"),),
    "a name that is a path": (("program", "../p", "0", "0", "{engine}"),),
    "an option in a program's place": (program("-S", "/bin/sh -c '{touch}'"),),
    "a setting in a program's place": (program("A=b", "/bin/sh", "-c", TOUCH),),
    "an option in a setting's place": (program("-S=/bin/sh -c '{touch}'", "{engine}", count="1"),),
    "a setting without a value": (program("NAMED=", "{engine}", count="1"),),
    "a name in a setting's place": (program("NAMED", "{engine}", count="1"),),
    "a setting and no program": (program("NAMED=b", count="1"),),
    "no program": (program(),),
    "a setting without a name": (program("=x", "{engine}", count="1"),),
    "a word with a carriage return": (program("{engine}", "a\rb"),),
    "a word with an escape": (program("{engine}", "\x1b[2J"),),
    "an empty word": (program("{engine}", "", "x"),),
    "a blank line": ((), program("{engine}")),
    "a GPU that leads out": (("gpu", "../../outside/owned"), program("{engine}")),
    "a GPU that is an option": (("gpu", "-x"), program("{engine}")),
    "a GPU's need in hex": (("gpu", "0"), ("gpu-look", "0x1", "1"), program("{engine}")),
    "a folder that leads out": (("folder", OUT + "/owned"), program("{engine}")),
    "a folder above": (("folder", "../.."), program("{engine}")),
    "the folder above": (("folder", ".."), program("{engine}")),
    "a folder beside": (("folder", "../x"), program("{engine}")),
    "a folder and back": (("folder", "a/.."), program("{engine}")),
    "a folder at home": (("folder", "~/x"), program("{engine}")),
    "a folder by its whole path": (("folder", "{outside}/owned"), program("{engine}")),
    "a folder that is an option": (("folder", "-p"), program("{engine}")),
    "a product that leads out": (("product", OUT + "/secret"), program("{engine}")),
    "a product above": (("product", "../.."), program("{engine}")),
    "a product by its whole path": (("product", "{outside}/secret"), program("{engine}")),
    "a product by a way round": (("product", "a/../" + OUT + "/secret"), program("{engine}")),
    "an output that leads out": (program("{engine}"), ("output", OUT + "/secret")),
    "an output without a program": (("output", "x"), program("{engine}")),
    "a show by its whole path": (program("{engine}"), ("show", "{outside}/secret")),
    "a show that leads out": (program("{engine}"), ("show", OUT + "/secret")),
    "a show by way of the input": (program("{engine}"), ("show", "../../input/../../../outside/secret")),
    "a show of the run itself": (program("{engine}"), ("show", "log")),
    "options of Slurm": (("sbatch", "--wrap={touch}"), program("{engine}")),
    "an option of Slurm where there is none": (("sbatch", "--partition=gpu"), program("{engine}")),
    "programs of one's own": (("only", "/bin/sh"), program("/bin/sh", "-c", TOUCH)),
    "variables of one's own": (("variable", "LD_PRELOAD"), program("{engine}")),
    "a word of the checked order": (("refused", "x"), program("{engine}")),
    "a second token": (("token", TOKEN), program("{engine}")),
    "a second end": (program("{engine}"), ("end",)),
    "lines that have changed places": (program("{engine}"), ("folder", "x")),
    "a kind that nobody knows": (("exec", "/bin/sh", "-c", TOUCH),),
}
HEADS = {
    "another token": {"token": f"{KEY}-b1-r2"},
    "another workspace": {"root": "/tmp"},
    "a workspace that is left again": {"root": "{root}/../outside"},
    "a job's limit in hex": {"limit": "0x10"},
    "a job's limit with a leading zero": {"limit": "030"},
    "a grace with a leading zero": {"grace": "01"},
    "a job's limit that is an expression": {"limit": "a[$({touch})]"},
    "no limit": {"limit": "0"},
    "a grace below nothing": {"grace": "-1"},
    "a grace that is an expression": {"grace": "a[$({touch})]"},
}


def filled(site: Installed, text: str) -> str:
    for name, value in {
        "{touch}": f"touch {site.outside}/owned", "{outside}": str(site.outside), "{root}": str(site.root),
        "{engine}": str(site.engine),
    }.items():  # fmt: skip
        text = text.replace(name, value)
    return text


def refused(site: Installed, order: bytes) -> None:
    output = site.submit(order)
    assert "mqi-trouble bad-order line" in output
    time.sleep(0.02)
    assert site.untouched()
    assert list((site.root / "gates").iterdir()) == []
    assert list((site.root / "cases" / KEY / "runs").iterdir()) == []


def test_an_order_as_the_product_sends_it_is_carried_out(site: Installed):
    """What the refusals below differ from. A word is never a pattern of names of files."""
    site.engine.write_text('#!/bin/sh\nprintf \'%s\\n\' "$NAMED" "$@"\n')
    words = ("it's", "*", "/*", "?", "[a-z]*", "$HOME", "~", "\\")
    lines = (
        ("folder", "Outputs"), ("product", "Outputs/made"), program("NAMED=*", str(site.engine), *words, count="1"),
        program("true", limit="5"), ("show", "../../input/common/x"),
    )  # fmt: skip
    assert "mqi-submit begun" in site.submit(site.order(*lines))
    written = "\n".join(("mqi-program p", "*", *words, "mqi-program p", "input"))
    assert site.ended() == ("0", written)


def test_an_order_that_was_cut_or_is_too_long_is_none(kept: Installed):
    whole = kept.order(program(str(kept.engine)))
    long = kept.order(program(str(kept.engine), "x" * (1 << 20)))
    for order, why in ((whole[:-4], "cut"), (whole[:-2], "cut"), (whole[:-1], "bad-order line 6"), (long, "cut")):
        assert f"mqi-trouble {why}" in kept.submit(order)
    assert kept.untouched()
    assert list((kept.root / "gates").iterdir()) == []
    assert list((kept.root / "cases" / KEY / "runs").iterdir()) == []


@pytest.mark.parametrize("root", ["work", "./work", "~/work", "/", "//", ""])
def test_a_script_that_was_installed_without_a_workspace_answers_nothing(kept: Installed, root: str):
    output = kept.command(f"mqi-host {MARK} 50 hello", forced=("--only", root))
    assert (output.returncode, output.stdout) == (2, "")


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_another_form_is_no_order(kept: Installed, name: str):
    refused(kept, kept.order(*(tuple(filled(kept, word) for word in line) for line in LINES[name])))


@pytest.mark.parametrize("name", HEADS)
def test_an_order_for_something_else_is_none(kept: Installed, name: str):
    head = {kind: filled(kept, word) for kind, word in HEADS[name].items()}
    refused(kept, kept.order(program(str(kept.engine)), head=head))


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (program("/bin/sh", "-c", TOUCH), "mqi-refused /bin/sh"),
        (program("sh", "-c", TOUCH), "mqi-refused sh"),
        (program("{engine}/../../../bin/sh"), "bin/sh"),
        (program("LD_PRELOAD=/x.so", "{engine}", count="1"), "mqi-refused the variable LD_PRELOAD"),
    ],
)
def test_a_program_or_variable_that_was_not_named_is_not_used(site: Installed, words: tuple[str, ...], output: str):
    site.submit(site.order(tuple(filled(site, word) for word in words)))
    code, log = site.ended()
    assert code == "126"
    assert output in log
    assert "computed" not in log
    assert site.untouched()


CALLS = {
    "a token that leads out": ("submit", "{root}", "../../outside-b1-r1", "50", "anywhere"),
    "a token that is none": ("submit", "{root}", f"{KEY}-b1x-r1", "50", "anywhere"),
    "a token without a run": ("submit", "{root}", f"{KEY}-b1", "50", "anywhere"),
    "a token that is a number": ("submit", "{root}", "1", "50", "anywhere"),
    "a wait in hex": ("submit", "{root}", TOKEN, "0x10", "anywhere"),
    "a wait in octal": ("submit", "{root}", TOKEN, "010", "anywhere"),
    "a wait below nothing": ("poll", "{root}", "-1", "4096"),
    "somewhere else": ("submit", "{root}", TOKEN, "50", "somewhere"),
    "a word more": ("submit", "{root}", TOKEN, "50", "anywhere", "more"),
    "a word less": ("submit", "{root}", TOKEN, "50"),
    "a look in hex": ("poll", "{root}", "0x1", "4096"),
    "a look at something else": ("poll", "{root}", "1", "4096", "all"),
    "a nap of nothing": ("slurm_poll", "{root}", "1", "4096", "30", "0"),
    "a grace in hex": ("cancel", "{root}", "0x10"),
    "a key that leads out": ("remove", "{root}", ".."),
    "a key with a path": ("remove", "{root}", "x/../../outside"),
    "a digest that is none": ("settle", "{root}", KEY, "0x"),
    "a digest that is too short": ("settle", "{root}", KEY, "0" * 63),
    "another workspace": ("workspace", "{outside}"),
    "a workspace that is left again": ("workspace", "{root}/../outside"),
    "a workspace by a way round": ("remove", "{root}/.", KEY),
    "another kind of host": ("host", "x"),
    "a function that is no verb": ("own_text",),
    "a verb of transfers": ("receive", "{root}", KEY),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_question_of_another_form_is_refused(kept: Installed, name: str):
    output = kept.ask(*(filled(kept, word) for word in CALLS[name]), stdin=f"{TOKEN}\n".encode())
    assert "mqi-trouble bad-" in output.stdout
    assert kept.untouched()
    assert (kept.root / "cases" / KEY / "input").is_dir()


@pytest.mark.parametrize(
    "line",
    [
        "mqi-host", "mqi-host ", "mqi-host mqi- 9 hello", "mqi-host mqi-../x 9 hello", "mqi-host mqi-1 0x9 hello",
        "mqi-host mqi-1 09 hello", "mqi-host mqi-1 0 hello", "mqi-host mqi-1 -9 hello", "mqi-host mqi-1 9",
        "mqi-1 9 hello", "mqi-host hold", "mqi-host --serve mqi-1 9 hello", "mqi-host --job x",
        "mqi-host mqi-1 9\nhello", "mqi-host mqi-1 9 hello; id", "mqi-host * 9 hello", "",
    ],
)  # fmt: skip
def test_a_command_line_of_another_form_is_refused(kept: Installed, line: str):
    output = kept.command(line)
    assert (output.returncode, output.stdout) == (1, "")
    assert "may only be used by MQI Communicator" in output.stderr


@pytest.mark.parametrize("name", ["{outside}/secret", "../../../outside/secret", "./../../../outside/secret"])
def test_a_list_of_digests_removes_nothing_outside(site: Installed, name: str):
    """What a list names and is not as the list says is removed, so that the next send repairs it."""
    upload = site.root / "staging" / "other2345678"
    upload.mkdir()
    sums = f"{'0' * 64}  {filled(site, name)}\n".encode()
    (upload / "SHA256SUMS").write_bytes(sums)
    output = site.ask("settle", str(site.root), "other2345678", hashlib.sha256(sums).hexdigest())
    assert "mqi-trouble mismatch its list names something" in output.stdout
    assert site.untouched()


def test_nothing_is_told_of_files_that_are_not_beside_a_named_program(site: Installed):
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    (site.opt / "data").mkdir()
    (site.opt / "data" / "list").touch()
    lines = [
        ("readable", f"{site.outside}/secret"), ("sha256", f"{site.outside}/secret", digest), ("executable", "/bin/sh"),
        ("program", "/bin/sh"), ("readable", f"{site.opt}/../outside/secret"), ("starts", "/bin/sh", "-c", "id"),
        ("executable", str(site.engine)), ("readable", f"{site.opt}/data/list"), ("program", "true"),
        ("starts", str(site.engine), "*"),
    ]  # fmt: skip
    site.engine.write_text('#!/bin/sh\necho "$@"\n')
    output = site.ask("needs", stdin="".join("\t".join(line) + "\n" for line in lines).encode()).stdout
    reported = [line.split()[2] for line in output.splitlines() if line.startswith(("mqi-need", "mqi-started"))]
    assert reported == [*["barred"] * 6, "ok", "ok", "ok", "0"]
    printed = base64.b64encode(b"*\n").decode()
    assert f"mqi-started 10 0 {printed}\n" in output


LETTERS = "-tpre.iLsfxCIvu"
SENT = ("--server", LETTERS, "--timeout=60", "--delete", "--partial-dir", ".rsync-partial", ".", "x")
ASKED = ("--server", "--sender", "-tprIRe.iLsfxCIvu", "--timeout=60", "--files-from=-", "--from0", ".", "x")


def changed(words: tuple[str, ...], at: int, *to: str) -> tuple[str, ...]:
    return (*words[:at], *to, *words[at + 1 :])


RSYNC = {
    "receive and send": ("receive", (*SENT[:1], "--sender", *SENT[1:])),
    "receive by links": ("receive", changed(SENT, 1, "-tprKe.iLsfxCIvu")),
    "receive links": ("receive", changed(SENT, 1, "-tprle.iLsfxCIvu")),
    "receive words on stdin": ("receive", changed(SENT, 1, "-tprse.iLsfxCIvu")),
    "receive without deleting": ("receive", changed(SENT, 3)),
    "receive into another folder": ("receive", changed(SENT, 5, "/tmp")),
    "receive with backups elsewhere": ("receive", (*SENT[:3], "--backup-dir=/tmp", *SENT[3:])),
    "receive with a log": ("receive", (*SENT[:3], "--log-file={outside}/owned", *SENT[3:])),
    "receive by way of another folder": ("receive", (*SENT[:3], "--temp-dir=/tmp", *SENT[3:])),
    "receive and compare elsewhere": ("receive", (*SENT[:3], "--link-dest=/tmp", *SENT[3:])),
    "receive two paths": ("receive", (*SENT, "y")),
    "receive into the first of two paths": ("receive", (*SENT[:-2], "/tmp", "x")),
    "send from the first of two paths": ("provide", (*ASKED[:-2], "{outside}", "secret")),
    "receive names of files": ("receive", (*SENT[:3], "--files-from={outside}/secret", *SENT[3:])),
    "no sender": ("provide", changed(ASKED, 1)),
    "follow links": ("provide", changed(ASKED, 2, "-tprIRLe.iLsfxCIvu")),
    "a letter for another": ("provide", changed(ASKED, 2, "-tprILe.iLsfxCIvu")),
    "a letter twice": ("provide", changed(ASKED, 2, "-tprIRRe.iLsfxCIvu")),
    "copy links": ("provide", (*ASKED[:4], "--copy-links", *ASKED[4:])),
    "copy unsafe links": ("provide", (*ASKED[:4], "--copy-unsafe-links", *ASKED[4:])),
    "names from a file": ("provide", changed(ASKED, 4, "--files-from={outside}/secret")),
    "all files": ("provide", changed(ASKED, 4)),
    "and remove them": ("provide", (*ASKED[:4], "--remove-source-files", *ASKED[4:])),
    "a daemon": ("provide", (*ASKED[:4], "--daemon", *ASKED[4:])),
    "a timeout in hex": ("provide", changed(ASKED, 3, "--timeout=0x1")),
    "a pace below nothing": ("provide", changed(ASKED, 3, "--timeout=60", "--bwlimit=-1")),
    "an option twice": ("provide", changed(ASKED, 3, "--timeout=60", "--timeout=61")),
    "letters twice": ("provide", changed(ASKED, 3, "-L", "--timeout=60")),
    "deleting where it sends": ("provide", (*ASKED[:4], "--delete", *ASKED[4:])),
    "a path by its name": ("provide", (*ASKED[:-2], "{outside}/secret")),
    "no words": ("provide", ()),
}


@pytest.mark.parametrize("name", RSYNC)
def test_rsync_is_started_with_the_words_of_our_transfers_alone(of_a_run: Installed, name: str):
    verb, words = RSYNC[name]
    what = KEY if verb == "receive" else TOKEN
    output = of_a_run.command(
        " ".join(("mqi-host", verb, str(of_a_run.root), what, *(filled(of_a_run, word) for word in words)))
    )
    assert output.returncode == 1
    assert output.stdout == ""
    assert "mqi-refused" in output.stderr
    assert of_a_run.untouched()


PLACES = (
    "gates", "cases", "staging", "leases", f"cases/{KEY}", f"cases/{KEY}/input", f"cases/{KEY}/runs",
    f"cases/{KEY}/runs/{TOKEN}", f"gates/{TOKEN}", f"staging/{KEY}", f"staging/{KEY}.lock",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_link_in_the_place_of_ours_is_not_followed(site: Installed, place: str):
    link, root = site.root / place, str(site.root)
    if link.exists():
        link.rename(site.root / "aside")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(site.outside / "owned" if place.endswith(".lock") else site.outside)
    (site.outside / "log").symlink_to("secret")
    before = sorted(path.name for path in site.outside.iterdir())
    tokens = f"{TOKEN}\n".encode()
    transfer = ("mqi-host", "provide", root, TOKEN, *ASKED), ("mqi-host", "receive", root, KEY, *SENT)
    answers = [
        site.submit(site.order(program(str(site.engine)))),
        site.ask("poll", root, "0", "4096", stdin=tokens).stdout,
        site.ask("cancel", root, "1", stdin=tokens).stdout,
        site.ask("settle", root, KEY, "0" * 64).stdout,
        *(site.command(" ".join(words)).stderr for words in transfer),
        site.ask("remove", root, KEY).stdout,
    ]
    assert sorted(path.name for path in site.outside.iterdir()) == before
    assert "not-ours" in answers[0]
    assert "not-ours" in answers[1]
    assert "not-ours" in answers[2]
    in_run = place.endswith(TOKEN)
    assert ["not-ours" in response for response in answers[3:]] == [not in_run, True, not in_run, not in_run]


def test_a_lock_of_leases_that_is_a_link_makes_no_file(site: Installed):
    (site.root / "leases" / ".lock").symlink_to(site.outside / "owned")
    assert "mqi-trouble not-begun" in site.submit(site.order(("gpu", "0"), program(str(site.engine))))
    assert site.untouched()


def test_a_log_that_is_a_link_is_not_shown(site: Installed):
    gate = site.root / "gates" / TOKEN
    for folder in (gate, site.run):
        folder.mkdir(parents=True)
    (gate / "started").write_text("1,1,1,boot,node,none\n")
    (site.run / "exit").write_text("0,1\n")
    (site.run / "log").symlink_to(site.outside / "secret")
    (site.run / "products.sha256").symlink_to(site.outside / "secret")
    output = site.ask("poll", str(site.root), "0", "4096", stdin=f"{TOKEN}\n".encode()).stdout
    assert f"mqi-job {TOKEN} job" in output
    assert base64.b64encode(SECRET.encode()).decode()[:16] not in output


def test_a_record_of_a_job_that_is_a_link_is_not_shown(site: Installed):
    gate = site.root / "gates" / TOKEN
    for folder in (gate, site.run):
        folder.mkdir(parents=True)
    (site.outside / "word").write_text("0,s3cret\n")
    for link in (gate / "started", site.run / "exit"):
        link.symlink_to(site.outside / "word")
    output = site.ask("poll", str(site.root), "0", "4096", stdin=f"{TOKEN}\n".encode()).stdout
    assert f"mqi-job {TOKEN} job none garbled garbled" in output
    assert "s3cret" not in output


def test_a_shown_file_that_is_a_link_is_not_shown(site: Installed):
    (site.root / "cases" / KEY / "input" / "common" / "link").symlink_to(site.outside / "secret")
    site.submit(site.order(program(str(site.engine)), ("show", "../../input/common/link")))
    code, log = site.ended()
    assert code == "74"
    assert SECRET not in log


def test_a_product_behind_a_link_is_no_product(site: Installed):
    site.engine.write_text(
        f"#!/bin/sh\nln -s '{site.outside}' Outputs\nln -s . inside\necho x >made; ln -s made alias\n"
    )
    products = tuple(("product", name) for name in ("Outputs/secret", "inside/made", "alias", "made"))
    site.submit(site.order(*products, program(str(site.engine))))
    assert site.ended()[0] == "0"
    listed = (site.run / "products.sha256").read_text().splitlines()
    assert [line.split()[2] for line in listed] == ["./inside/made", "./made"]


def test_a_run_with_a_link_that_leads_out_is_not_sent(site: Installed):
    site.run.mkdir(parents=True)
    (site.run / "within").symlink_to(".")
    line = " ".join(("mqi-host", "provide", str(site.root), TOKEN, *ASKED))
    assert "leads out" not in site.command(line).stderr
    (site.run / "Outputs").symlink_to(site.outside)
    output = site.command(line, b"Outputs/secret\0")
    assert "mqi-refused a folder in which a link leads out of it" in output.stderr
    assert output.stdout == ""
