"""Which GPUs our jobs may use, from the driver's report."""

from __future__ import annotations

import base64

import pytest

from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.gpus import Inventory, describe, fit, listed, read_inventory, reason_unusable
from mqi_communicator.compute.options import GpuOptions

pytestmark = pytest.mark.pure

GPUS = (
    "0, GPU-a0, 143771, 0, 0, 29\n"
    "1, GPU-a1, 143771, 97344, 98, 64\n"
    "2, GPU-a2, 143771, 512, 3, 35\n"
    "3, GPU-a3, 24000, 0, [N/A], [Not Supported]\n"
)
APPS = "GPU-a1, 4711, 97000\nGPU-a2, 815, 400\n"
OPTIONS = GpuOptions()


def response(
    gpus: str = GPUS, apps: str = APPS, *, codes: tuple[int, int] = (0, 0), ours: str = "815"
) -> RemoteResponse:
    def packed(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    lines = [f"mqi-gpus {codes[0]} {packed(gpus)}", f"mqi-apps {codes[1]} {packed(apps)}", f"mqi-ours {ours}".rstrip()]
    return RemoteResponse(0, "\n".join(lines))


def test_an_inventory_tells_our_jobs_from_others():
    found = read_inventory(response())
    assert [(gpu.index, gpu.ours_mib, gpu.foreign) for gpu in found.gpus] == [
        ("0", 0, ()), ("1", 0, (4711,)), ("2", 400, ()), ("3", 0, ()),
    ]  # fmt: skip
    assert (found.gpus[3].percent, found.gpus[3].celsius) == (None, None)
    assert fit(found, OPTIONS, 1000) == ("GPU-a0", "GPU-a2", "GPU-a3")
    assert fit(found, OPTIONS, 30_000) == ("GPU-a0", "GPU-a2")


NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"


@pytest.mark.parametrize(
    "output",
    [
        RemoteResponse(0, ""),
        response(NO_DRIVER, codes=(9, 0)),
        response("GPU is lost", codes=(15, 0)),
        response(apps="oops", codes=(0, 1)),
        response("<html>"),
        response(GPUS + "4, GPU-a4, 143771"),
        response(apps="GPU-a1, x, 97000"),
        response("0, GPU a0, 1, 1, 1, 1"),
        RemoteResponse(0, response().out.rsplit("\n", 1)[0]),
        RemoteResponse(0, response().out.split("\n", 1)[1]),
    ],
)
def test_a_question_that_failed_leaves_no_gpu_to_use(output: RemoteResponse):
    found = read_inventory(output)
    assert found.gpus == ()
    assert found.trouble
    assert fit(found, OPTIONS, 0) == ()
    assert "unknown" in describe(found, OPTIONS, 0, {})[0]


@pytest.mark.parametrize(
    ("line", "apps", "options", "words"),
    [
        ("0, GPU-a0, 8000, 501, 0, 30", "", {}, "used by others: 501 MiB"),
        ("0, GPU-a0, 8000, 500, 0, 30", "", {}, ""),
        ("0, GPU-a0, 8000, 900, 0, 30", "GPU-a0, 7, 900", {}, "process 7"),
        ("0, GPU-a0, 8000, 900, 0, 30", "GPU-a0, 7, 900", {"foreign_mib": 1000}, ""),
        ("0, GPU-a0, 8000, 0, 21, 30", "", {}, "21 % busy"),
        ("0, GPU-a0, 8000, 0, 20, 30", "", {}, ""),
        ("0, GPU-a0, 8000, 0, [N/A], 30", "", {}, ""),
        ("0, GPU-a0, 8000, [N/A], 0, 30", "", {}, "does not report its memory"),
        ("0, GPU-a0, [N/A], 0, 0, 30", "", {}, "does not report its memory"),
        ("0, GPU-a0, 1000, 0, 0, 30", "", {}, "2000 MiB are needed"),
        ("0, GPU-a0, 8000, 0, 0, 91", "", {"hottest_celsius": 90}, "too hot"),
        ("0, GPU-a0, 8000, 0, 0, 30", "", {"only": ["1"]}, "gpus.only"),
        ("0, GPU-a0, 8000, 0, 0, 30", "", {"only": [0]}, ""),
        ("0, GPU-a0, 8000, 0, 0, 30", "", {"only": ["GPU-a0"]}, ""),
    ],
)
def test_why_a_gpu_is_left_alone(line: str, apps: str, options: dict[str, object], words: str):
    (gpu,) = read_inventory(response(line, apps, ours="")).gpus
    why = reason_unusable(gpu, GpuOptions.model_validate(options), 2000)
    assert words in why
    assert bool(why) == bool(words)


def test_each_gpu_tells_who_has_it():
    found = read_inventory(response())
    output = describe(found, OPTIONS, 30_000, {"GPU-a0": "beam 2 of case k"})
    assert output == [
        "GPU 0 computes beam 2 of case k",
        "GPU 1 is used by others (process 4711): 97344 MiB",
        "GPU 3 has 24000 MiB free for us; 30000 MiB are needed",
    ]


def test_listed_gpus_are_taken_by_their_word():
    options = GpuOptions.model_validate({"listed": [{"id": 0, "memory_mib": 8000}, {"id": "GPU-x", "memory_mib": 100}]})
    assert fit(listed(options), options, 1000) == ("0",)
    assert fit(Inventory(), options, 0) == ()
