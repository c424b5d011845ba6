"""What happens in the watched folder."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed, case_number
from tests.fleet import noisy
from tests.fleet.cases import case_files

FRACTIONS = 5  # of a plan
NOISY = 2  # in a round, at most: they take seconds


@fault("share unmounted", (3, 9), mounted=True)
def unmounted(testbed: Testbed, _: Random) -> Iterator[None]:
    """The watched share is unmounted, which leaves an empty folder, and mounted again."""
    subprocess.run(("umount", "-l", str(testbed.watch)), check=True, capture_output=True)
    yield
    subprocess.run(("mount", "--bind", str(testbed.share), str(testbed.watch)), check=True, capture_output=True)


@fault("everything deleted and created", (2, 6))
def created_anew(testbed: Testbed, _: Random) -> Iterator[None]:
    """Every case folder is moved away and copied back, with other times and inodes."""
    aside = testbed.folder / "aside"
    aside.mkdir(exist_ok=True)
    for folder in sorted(testbed.share.iterdir()):
        folder.rename(aside / folder.name)
    yield
    for folder in sorted(aside.iterdir()):
        shutil.copytree(folder, testbed.share / f".{folder.name}.copy")
        (testbed.share / f".{folder.name}.copy").rename(testbed.share / folder.name)
        shutil.rmtree(folder)


@fault("case arrives while it is taken", (1, 2))
def arriving(testbed: Testbed, random: Random) -> Iterator[None]:
    """A new case is copied file by file: half a file first, garbage, then the right bytes."""
    number = testbed.new_number()
    folder = testbed.share / f"case {number:04d}"
    folder.mkdir()
    testbed.cases.append(number)
    files = list(case_files(number).items())
    random.shuffle(files)
    for name, data in files:
        half = len(data) // 2
        (folder / name).write_bytes(data[:half])
        if random.random() < 0.2:
            testbed.pause(0.3)
            (folder / name).write_bytes(data[:half] + random.randbytes(100))
            testbed.pause(0.3)
        (folder / name).write_bytes(data)
    yield


@fault("longer run needed")
def longer_run(testbed: Testbed, _: Random) -> Iterator[None]:
    """A new case whose first dose is too noisy for a verdict: a longer run of it is ordered."""
    dropped = len(set(testbed.cases) & set(noisy.NUMBERS))
    testbed.missed = dropped >= NOISY
    if not testbed.missed:
        testbed.drop(noisy.NUMBERS[dropped])
    yield


@fault("delivery arrives")
def delivery(testbed: Testbed, random: Random) -> Iterator[None]:
    """What the machine recorded of another fraction of an admitted case arrives."""
    query = "select source from cases where kind = 'plan' and content != '' and constancy = '' and same_as = ''"
    found = testbed.find(lambda: sorted({case_number(source) for (source,) in testbed.look_up(query)} - {0}))
    begun = Counter(number for number, _ in testbed.delivered)
    numbers = [number for number in found if number not in noisy.NUMBERS and begun[number] < FRACTIONS]
    testbed.missed = not numbers
    if numbers:
        testbed.deliver(random.choice(numbers))
    yield


@fault("admitted files changed")
def changed(testbed: Testbed, random: Random) -> Iterator[None]:
    """The files of a case in progress are touched and rewritten with the same bytes."""
    folders = sorted(folder for folder in testbed.share.iterdir() if folder.name.startswith("case "))
    testbed.missed = not folders
    if folders:
        for file in random.choice(folders).iterdir():
            file.write_bytes(file.read_bytes())
    yield


@fault("10 000 files that are no case", (2, 5))
def crowd(testbed: Testbed, random: Random) -> Iterator[None]:
    """5 000 files at the top of the watched folder and 5 000 in a subfolder; none belongs to a case."""
    heap = testbed.share / f"no case {random.randrange(1000)}"
    heap.mkdir(exist_ok=True)
    for number in range(5000):
        (testbed.share / f"loose {number}.txt").touch()
        (heap / f"{number}.txt").touch()
    yield
    for number in range(5000):
        (testbed.share / f"loose {number}.txt").unlink(missing_ok=True)
    shutil.rmtree(heap)
