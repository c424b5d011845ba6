"""An order to sign is carried out once, wherever the communicator is killed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.judged import KEY
from tests.signed import PEOPLE, SigningSite, add_case, delivered_case, settings, store

from mqi_communicator.case.signing import SignRequest
from mqi_communicator.delivery.folder import delivered_results
from mqi_communicator.flow.tasks import added_files
from mqi_communicator.flow.tasks.sign import sign_results
from mqi_communicator.flow.tasks.signatures import signatures_of
from mqi_communicator.store import cases, orders, work_items

KILLED = Path(__file__).resolve().parents[1] / "killed"
POINTS = [
    f"{moment} {name}"
    for name in ("report-signed.pdf", "signature.json", "signed.json")
    for moment in ("before", "after")
]


class Killed(BaseException):
    """Stands for SIGKILL: no handler runs but `finally`, which the next test does without."""


@pytest.mark.parametrize("effect", ["rename", "hardlink_to", "sync_folder"])
@pytest.mark.timeout(300)
def test_what_an_interrupted_try_left_is_kept_or_replaced(tmp_path, monkeypatch, effect):
    case, folder = delivered_case(tmp_path, "no-dose")
    manifest = SigningSite.digest(folder / "manifest.json")
    request = SignRequest("accept", 1, "ann", *PEOPLE["ann"], "password", "dashboard", manifest)

    def interrupted(*_args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(added_files if effect == "sync_folder" else Path, effect, interrupted)
        with pytest.raises(Killed):
            sign_results(case.spool, folder, request, "seen", 60.0, second=False)
    (folder / ".signature.json.part").write_text("half a sig")  # SIGKILL leaves it behind
    assert delivered_results(folder.parent, KEY) is not None, "the delivery is valid at each moment"
    signed = sign_results(case.spool, folder, request, "seen", 60.0, second=False)
    assert signatures_of(folder) == (signed.document,)
    assert sign_results(case.spool, folder, request, "seen", 60.0, second=False) == signed
    assert not list(folder.glob(".*"))
    assert delivered_results(folder.parent, KEY) is not None


@pytest.mark.real
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_one_order_outlives_a_kill_at_every_point(tmp_path):
    case, folder = delivered_case(tmp_path, "no-dose")
    config = settings(tmp_path)
    request = SignRequest(
        "accept", 1, "ann", *PEOPLE["ann"], "password", "dashboard", SigningSite.digest(folder / "manifest.json")
    )
    with store(config) as database:
        add_case(database, case, folder)
        given = {"case": KEY, "order": "sign", "who": "ann (dashboard)", "why": "seen", "detail": request.text()}
        number = database.write_now(orders.add, at=time.time(), **given)
    for place, point in enumerate(POINTS):
        marker = tmp_path / f"killed-{place}"
        path = f"{KILLED}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        environment = {**os.environ, "KILL_AT": point, "KILL_MARKER": str(marker), "PYTHONPATH": path}
        command = (sys.executable, "-m", "mqi_communicator", "run", "--config", str(config))
        with (tmp_path / f"life-{place}.log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                assert process.wait(240) == -9, (point, (tmp_path / f"life-{place}.log").read_text())
            finally:
                process.kill()
        assert delivered_results(folder.parent, KEY) is not None, point
        with store(config) as database:
            assert database.read_now(orders.get, number).applied is None, point
            assert database.read_now(cases.get, KEY).signature in ("unsigned", "signed"), point
    with (tmp_path / "last.log").open("w") as log:
        process = subprocess.Popen((*command,), stdout=log, stderr=log)
        try:
            with store(config) as database:
                end = time.monotonic() + 240
                while database.read_now(orders.get, number).applied is None:
                    assert time.monotonic() < end, (tmp_path / "last.log").read_text()
                    time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(60)
    with store(config) as database:
        assert database.read_now(orders.get, number).answer.startswith("accepted by Ann Example")
        events = [one for one in database.read_now(work_items.events_of, KEY) if one.event == "case.signed"]
        assert len(events) == 1
        assert database.read_now(cases.get, KEY).signature == "signed"
    (signature,) = signatures_of(folder)
    assert signature.account == "ann"
    assert not list(folder.glob(".*"))
    assert delivered_results(folder.parent, KEY) is not None
