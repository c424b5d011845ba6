"""The programs of one beam's job: the site's steps, moqui once per seed, and the files of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mqi_communicator.case.work import Need, Program, Work
from mqi_communicator.dicom.outgoing_names import beam_name
from mqi_communicator.dose.engine import NO_INPUT
from mqi_communicator.dose.moqui.flavour import ErrorPattern
from mqi_communicator.dose.moqui.inputs import COMMON, SPOT_LISTS, input_name, output_folder, temp_folder
from mqi_communicator.dose.moqui.job_layout import JobLayout, JobProgram
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.moqui.products import files_of
from mqi_communicator.dose.moqui.requested import FILE
from mqi_communicator.dose.moqui.step_options import StepOptions


class Programs:
    """The programs of a beam's job in one configuration. From the case they contain the beam's number only."""

    def __init__(self, options: MoquiOptions, most_devices: int = 0) -> None:
        """`most_devices`: range shifters and apertures that a beam may have. Its dose is named after their number."""
        self._options, self._most_devices = options, most_devices
        self._flavour = options.chosen

    @property
    def requested_format(self) -> str:
        """The format in which the dose is requested."""
        return self._options.format or self._flavour.formats[0]

    @property
    def spots(self) -> str:
        """The folder of spot lists relative to the run folder; "" if the program reads spots from the plan."""
        if not self._flavour.reads_spots:
            return ""
        return SPOT_LISTS if self._options.spots == "before" else f"{COMMON}/{SPOT_LISTS}"

    @property
    def words(self) -> str:
        """What the input of a case and its jobs must agree on: runs, GPUs, format, source of the spots, other steps."""
        options = self._options
        runs = f"{options.seeds} run{'s' if options.seeds > 1 else ''}"
        steps = ", ".join(step.name for step in (*options.before, *options.after)) or "none"
        spots = self.spots or "the plan"
        return (
            f"{runs}, at most {options.gpus_per_beam} GPU, dose as {self.requested_format}, spots from {spots}, "
            f"other steps {steps}"
        )

    def runs_and_gpus(self) -> Iterator[tuple[int, int]]:
        """Every run (from 1) with every possible number of GPUs, which is known only at submission."""
        for run in range(1, self._options.seeds + 1):
            for gpus in range(1, self._options.gpus_per_beam + 1):
                yield run, gpus

    def work(self, beam: int, gpus: int) -> Work:
        """The job with this number of GPUs (numbered from 0 in the job)."""
        options, number = self._options, int(beam)
        used = min(max(gpus, 1), options.gpus_per_beam)
        folders = tuple(temp_folder(run) for run in range(1, options.seeds + 1)) if used > 1 else ()
        return Work(
            programs=(
                *(self._step(step, number, used) for step in options.before),
                *(self._run(run, number, used) for run in range(1, options.seeds + 1)),
                *(self._step(step, number, used) for step in options.after),
            ),
            products=tuple(dict.fromkeys(path for one in self._candidates(number) for path in self._files(one))),
            limit_s=options.time_limit_s,
            folders=(*folders, SPOT_LISTS) if self.spots == SPOT_LISTS else folders,
            shown=(f"../../input/beam-{number}/{FILE}",),
        )

    def layout(self, beam: int) -> JobLayout:
        """The programs of that job and where its doses are, to read its log and its products."""
        return JobLayout(
            flavour=self._flavour,
            programs=(
                *(_watched(step) for step in self._options.before),
                *(
                    JobProgram(self._name(run), self._flavour.error_patterns, moqui=True)
                    for run in range(1, self._options.seeds + 1)
                ),
                *(_watched(step) for step in self._options.after),
            ),
            read_format=self._answer,
            dose_paths_by_devices=self._candidates(beam),
        )

    def needs(self) -> Sequence[Need]:
        """What the host must provide."""
        program, digest = self._options.program, self._options.program_sha256
        advice = f"moqui's tps_env is not at {program}, or not executable: correct engine.program"
        needs = [Need("executable", program, advice)]
        if self._options.stdbuf:
            needs.append(Need("program", "stdbuf", "install coreutils: without it no progress of a run is seen"))
        if digest:
            needs.append(Need("sha256", program, f"{program} is another build than engine.program_sha256", digest))
        advice = (
            f"{program} must start under this account: add the folder of a missing library to LD_LIBRARY_PATH in a "
            "wrapper script, or to ldconfig; docs/moqui.md explains how to build it"
        )
        argv = (*self._by, program, NO_INPUT)
        needs.append(Need("starts", argv[0], advice, arguments=argv[1:]))
        for step in (*self._options.before, *self._options.after):
            first = step.argv[0]
            advice = f"the program of step {step.name} is missing: correct engine.before or engine.after"
            needs.append(Need("executable" if "/" in first else "program", first, advice))
        return needs

    @property
    def _answer(self) -> str:
        """The format in which doses are read."""
        return self._flavour.answer or self.requested_format

    @property
    def _by(self) -> tuple[str, ...]:
        return ("stdbuf", "-oL") if self._options.stdbuf else ()

    def _name(self, run: int) -> str:
        return "moqui" if self._options.seeds == 1 else f"moqui-{run}"

    def _candidates(self, beam: int) -> tuple[tuple[str, ...], ...]:
        """The paths of the doses of a beam without a device, with one, and so on. A complete run writes one of them."""
        return tuple(self._products(beam, devices) for devices in range(self._most_devices + 1))

    def _products(self, beam: int, devices: int = 0) -> tuple[str, ...]:
        return tuple(
            self._flavour.product.format(
                output=output_folder(self._options.seeds, run), name=beam_name(beam), beam=beam, devices=devices
            )
            for run in range(1, self._options.seeds + 1)
        )

    def _files(self, products: Sequence[str]) -> list[str]:
        return [path for product in products for path in files_of(product, self._answer)]

    def _run(self, run: int, beam: int, gpus: int) -> Program:
        """Output line by line: otherwise none of it appears before the end, and its last lines are lost in a crash.

        Where a beam may have devices, the name of its dose is unknown here: it is verified when the job is judged.
        """
        argv = (*self._by, self._options.program, f"../../input/beam-{beam}/{input_name(run, gpus)}")
        known = not self._flavour.answer and not self._most_devices
        made = files_of(self._products(beam)[run - 1], self._answer) if known else ()
        return Program(self._name(run), argv, outputs=made)

    def _step(self, step: StepOptions, beam: int, gpus: int) -> Program:
        values = {
            "beam": str(beam),
            "input": f"../../input/beam-{beam}",
            "common": COMMON,
            "gpus": str(gpus),
            "outputs": "Outputs",
        }
        return Program(
            step.name,
            tuple(word.format(**values) for word in step.argv),
            env=tuple(step.env.items()),
            outputs=tuple(path.format(**values) for path in step.outputs),
            limit_s=step.limit_s,
        )


def _watched(step: StepOptions) -> JobProgram:
    """A step of the site with its own patterns."""
    return JobProgram(
        step.name,
        (
            *(ErrorPattern(pattern, retryable=True) for pattern in step.retryable_patterns),
            *(ErrorPattern(pattern) for pattern in step.failure_patterns),
        ),
    )
