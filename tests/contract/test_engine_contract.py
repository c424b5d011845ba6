"""Every dose engine keeps these promises."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from tests.standin.small import beam, moqui, plan, volume
from tests.unit.dose.test_mcsquare_engine import engine as mcsquare

from mqi_communicator.case.faults import ActionRequired, Permanent
from mqi_communicator.case.work import Work
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dose.engine import BeamJob, DoseEngine, EngineCase, JobRequest, PreparedCase, Refused
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import refusals

pytestmark = pytest.mark.pure

BEAMS = (beam(number=3), beam(number=7))
COMMON, RUN_FOLDER_TO_INPUT = "common", "../../input/"


@dataclass(frozen=True)
class Engines:
    """One engine as configured, and one whose machines and scanners are not configured."""

    known: DoseEngine
    blind: DoseEngine


@pytest.fixture(params=["mcsquare", "upstream", "fork", "clinic"])
def engines(request: pytest.FixtureRequest) -> Engines:
    if request.param == "mcsquare":
        return Engines(mcsquare(), mcsquare({}, {}))
    return Engines(moqui(flavour=request.param), moqui({}, {}, flavour=request.param))


@pytest.fixture
def engine(engines: Engines) -> DoseEngine:
    return engines.known


def case(engine: DoseEngine, **changes: Any) -> EngineCase:
    return engine.case(PreparedCase(plan(*BEAMS), volume(**changes)))


def job(engine: DoseEngine, number: int = 3, gpus: int = 1) -> BeamJob:
    return engine.job(JobRequest(number, gpus))


def test_files_are_common_to_all_beams_or_of_one_beam(engine):
    folders = {name.split("/", 1)[0] for name in case(engine).files()}
    assert folders == {COMMON, "beam-3", "beam-7"}


def test_the_same_case_gives_the_same_bytes_and_names_no_plan(engine):
    files = case(engine).files()
    assert files == case(engine).files()
    assert not [name for name, data in files.items() if b"canary" in data or b"1.2.3" in data or "canary" in name]


def test_a_job_reads_nothing_but_what_was_sent(engine):
    files, work = case(engine).files(), job(engine, 7).work()
    words = [*work.shown, *(word for program in work.programs for word in program.argv)]
    read = [word.removeprefix(RUN_FOLDER_TO_INPUT) for word in words if word.startswith(RUN_FOLDER_TO_INPUT)]
    assert read
    assert set(read) <= set(files)
    assert work.products
    assert work.limit_s > 0


def test_gpus_are_demanded_by_engines_that_use_them(engine):
    demand = case(engine).gpu_demand()
    assert (demand is not None) is engine.uses_gpus
    assert demand is None or 1 <= demand.least <= demand.most


def test_a_job_is_known_without_the_case(engine):
    assert isinstance(job(engine, gpus=0).work(), Work)
    assert job(engine).work() != job(engine, 7).work()


def test_an_engine_can_be_pickled(engine):
    copied = pickle.loads(pickle.dumps(engine))  # noqa: S301 - our own bytes
    assert copied.recipe() == engine.recipe()
    assert case(copied).files() == case(engine).files()


@pytest.mark.parametrize("code", [0, 1, 124, 139, -9])
def test_a_run_without_a_log_is_never_accepted(engine, code):
    assert job(engine).progress("").percent is None
    judged = job(engine).judge(code, "", dict.fromkeys(job(engine).work().products, 1000))
    assert isinstance(judged, Refused)
    assert judged.why


def test_a_dose_is_not_read_without_a_log_that_proves_it(engine):
    with pytest.raises(Permanent, match="beam 3"):
        case(engine).read_dose(3, dict.fromkeys(job(engine).work().products, b"\0" * 96), "")


def test_what_is_not_configured_is_named_and_not_judged(engines):
    with pytest.raises(ActionRequired, match=r"which has no (?:beam model|calibration) in the"):
        case(engines.blind).files()
    with pytest.raises(ActionRequired, match="'G9'"):
        engines.known.case(PreparedCase(plan(beam(machine="G9")), volume())).files()
    with pytest.raises(ActionRequired, match="'Other'"):
        case(engines.known, scanner="Other").files()
    assert len(case(engines.blind).basis()) == 2
    assert not engines.blind.refusals(PreparedCase(plan(*BEAMS), volume()))
    assert not case(engines.blind).cautions()


def test_a_plan_that_cannot_be_computed_is_refused_with_all_reasons(engine):
    spoiled = plan(*(replace(one, isocenter=(1e4, 0.0, 0.0)) for one in BEAMS))
    reasons = engine.refusals(PreparedCase(spoiled, volume()))
    assert {reason.code for reason in reasons} >= {"dose.isocenter"}
    assert not refusals(engine, PreparationOptions(), spoiled, None, None), "without a CT its isocentre is not checked"
    with pytest.raises(DicomProblem):
        engine.case(PreparedCase(spoiled, volume())).files()
    with pytest.raises(DicomProblem):
        case(engine, hu=np.full(volume().grid.shape, np.nan, dtype=np.float32)).files()


def test_more_histories_change_the_recipe_in_nothing_else(engine):
    longer = engine.with_histories(7_000_000)
    assert longer.histories == 7_000_000
    assert {**longer.recipe(), "histories_per_beam": ""} == {**engine.recipe(), "histories_per_beam": ""}
    assert set(engine.evidence()) == set(engine.recipe())
