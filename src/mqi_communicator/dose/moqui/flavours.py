"""The built-in flavours.

Keys, messages and names were taken from the sources of moqui (MGHPhysicsResearch/moquimc) and of public forks of it
(jokh38/moqui_v2, moqui_dcm_save, moqui_rev, moqui_dcm_GOOD), and from runs of them.
"""

from __future__ import annotations

from dataclasses import replace

from mqi_communicator.dose.moqui.flavour import ErrorPattern, Flavour, Kind, Origin, Scale

_SPACE = "free space on the compute host, and verify that paths.remote is writable there"
_ERROR_PATTERNS = (
    ErrorPattern(r"(No free GPU remains after BeamLayerMultiGpu filtering)", retryable=True),
    ErrorPattern(
        r"^((?:CUDA error|GPUassert): .*(?:driver version is insufficient|no CUDA-capable device|invalid device ordinal"
        r"|no kernel image).*)$",
        advice="the program, the driver and the GPUs of the host do not match: run the program there by hand",
    ),
    ErrorPattern(r"^((?:CUDA error|GPUassert): .*)$", retryable=True, advice="check the health of the GPU on the host"),
    ErrorPattern(
        r"^ *what\(\): *(.*?) *$", advice="the program refused its input: docs/moqui.md explains each message"
    ),
    ErrorPattern(
        r"^(out-of-bound)", advice="an energy is outside the beam file's table, or the beam file was not read"
    ),
    ErrorPattern(r"(Error occurred at writing time!|Cannot open file!|Cannot write :)", retryable=True, advice=_SPACE),
    ErrorPattern(r"^(Error: (?:Could not save|Failed to write) DICOM file)", retryable=True, advice=_SPACE),
    ErrorPattern(r"^(Error: .*)$"),
    ErrorPattern(r"(Assertion .* failed)"),
    ErrorPattern(r"^(Scanner failed)"),
)
_UPSTREAM_END = r"^Time taken by MC engine: ([\d.]+(?:e[+-]?\d+)?) milli-seconds"
_EITHER_END = (
    r"^(?:Time taken by MC engine|Total execution time): ([\d.]+(?:e[+-]?\d+)?) ?(?:milli-seconds|ms|seconds|s)\b"
)

_I, _N, _P, _T, _W = Kind.INT, Kind.NUMBER, Kind.PATH, Kind.TRUTH, Kind.WORD
_SHARED = {
    "GPUID": _I,
    "RandomSeed": _I,
    "UseAbsolutePath": _T,
    "TotalThreads": _I,
    "BeamPrefix": _W,
    "MaxHistoriesPerBatch": _I,
    "ParentDir": _P,
    "DicomDir": _P,
    "SourceType": _W,
    "SimulationType": _W,
    "ParticlesPerHistory": _N,
    "BeamNumbers": Kind.BEAM,
    "Scorer": _W,
    "ScoreToCTGrid": _T,
    "ScoringMask": _T,
    "Mask": _P,
    "SaveMap": _T,
    "ScorerMapName": _W,
    "ScorerVoxelSize": _W,
    "ReadStructure": _T,
    "BodyContourName": _W,
    "OutputDir": _P,
    "OutputFormat": Kind.FORMAT,
    "OverwriteResults": _T,
}
_HEAD = {
    "GPUID": "0",  # CUDA_VISIBLE_DEVICES assigns the GPUs and numbers them from 0
    "RandomSeed": "{seed}",
    "UseAbsolutePath": "false",
    "TotalThreads": "-1",
    "MaxHistoriesPerBatch": "{batch}",
}
_TAIL = {
    "Scorer": "Dose",
    "ScoreToCTGrid": "true",
    "ScoringMask": "false",
    "ReadStructure": "false",
    "OutputDir": "{output}",
    "OutputFormat": "{format}",
    "OverwriteResults": "false",
}
_REQUIRED = frozenset(
    {
        "ParentDir",
        "OutputDir",
        "OutputFormat",
        "OverwriteResults",
        "BeamNumbers",
        "Scorer",
        "RandomSeed",
        "MaxHistoriesPerBatch",
    }
)

UPSTREAM = Flavour(
    name="upstream",
    keys={
        **_SHARED,
        "CTVolumeName": _P,
        "RBE": _N,
        "NumberOfFraction": _I,
        "RangeshifterDensity": _N,
        "UnitWeights": _I,
        "Machine": _W,
        "Calibration": _W,
        "DensityScaling": _N,
        "XShift": _N,
        "YShift": _N,
        "ZShift": _N,
        "StoppingStatistics": _T,
        "SaveStoppingStatistics": _T,
        "StoppingCriteria": _N,
        "StatThreshold": _N,
        "StatROIMaskFilename": _P,
        "StatROIStructFromRT": _T,
        "StatROI": _W,
    },
    lines={
        **_HEAD,
        "ParentDir": "../../input/common",
        "DicomDir": "dicom",
        "SourceType": "FluenceMap",
        "SimulationType": "perBeam",
        "BeamNumbers": "{beam}",
        "ParticlesPerHistory": "{particles_per_history}",
        "RBE": "1.0",
        "NumberOfFraction": "1",
        "Machine": "pbs:{machine}",
        "Calibration": "{calibration}",
        "StoppingStatistics": "false",
        **_TAIL,
    },
    required=_REQUIRED | {"DicomDir", "ParticlesPerHistory", "Machine", "RBE", "NumberOfFraction"},
    formats=("mha", "mhd", "raw"),
    product="{output}/{name}_{devices}_Dose",
    end=_UPSTREAM_END,
    histories=r"^histories (\d+)$",
    done=r"^cum_vertiex (\d+) \d+$",
    batch="",
    computed=r"^finalizing$",
    error_patterns=_ERROR_PATTERNS,
    origin=Origin.EITHER,
    scale=Scale.RATIO,
    start=50.0,
    several_gpus={},
)

# All paths are relative to the run folder, whether the program prepends ParentDir or not.
FORK = Flavour(
    name="fork",
    keys={
        **_SHARED,
        "DicomPath": _P,
        "logFilePath": _P,
        "GantryNum": _I,
        "UsingPhantomGeo": _T,
        "TwoCentimeterMode": _T,
        **{f"Phantom{what}{axis}": _I for what in ("Dim", "Unit", "Position") for axis in "XYZ"},
        "SupressStd": _T,
        "DebugMode": _T,
    },
    lines={
        **_HEAD,
        "ParentDir": ".",
        "DicomDir": "{dicom}",
        "DicomPath": "{dicom}",
        "logFilePath": "{spots}",
        "GantryNum": "{gantry}",
        "UsingPhantomGeo": "false",
        "TwoCentimeterMode": "false",
        "SourceType": "FluenceMap",
        "SimulationType": "perBeam",
        "BeamNumbers": "{beam}",
        "ParticlesPerHistory": "{particles_per_history}",
        "SupressStd": "true",
        **_TAIL,
    },
    required=_REQUIRED | {"DicomDir", "logFilePath", "GantryNum", "UsingPhantomGeo", "ParticlesPerHistory"},
    formats=("mhd", "mha", "raw", "dcm"),
    product="{output}/{name}_0_Dose",
    end=_EITHER_END,
    histories=r"^Total histories \(Particles\) : (\d+)",
    done="",
    batch=r"^Generating particles for \((\d+) of (\d+) batches\)",
    computed=r"^Particle transportation complete!",
    error_patterns=_ERROR_PATTERNS,
    origin=Origin.EDGE,
    scale=Scale.COUNTS,
    start=0.0,
    several_gpus={},
)

_CLINIC_LINES = {key: value for key, value in FORK.lines.items() if key != "ParticlesPerHistory"}
CLINIC = replace(
    FORK,
    name="clinic",
    keys={
        **{key: kind for key, kind in FORK.keys.items() if key != "ParticlesPerHistory"},
        "Verbosity": _I,
        "ROIName": _W,
        "NormalizeTotalHistories": _I,
        "EnableBeamLayerMultiGpu": _T,
        "BeamLayerMultiGpuAllowedGpuIds": Kind.IDS,
        "BeamLayerMultiGpuMaxWorkers": _I,
        "BeamLayerMultiGpuTempRoot": _P,
    },
    lines={**_CLINIC_LINES, "NormalizeTotalHistories": "{histories}"},
    required=(FORK.required - {"ParticlesPerHistory"}) | {"NormalizeTotalHistories"},
    formats=("dcm", "mhd", "mha", "raw"),
    error_patterns=(
        *_ERROR_PATTERNS,
        ErrorPattern(r"(FATAL ERROR.*)$"),
        ErrorPattern(r"^(ERROR: .*)$"),
        ErrorPattern(r"(Exception in save_to_dcm: .*)$", retryable=True, advice=_SPACE),
    ),
    scale=Scale.DECLARED,
    several_gpus={
        "EnableBeamLayerMultiGpu": "true",
        "BeamLayerMultiGpuAllowedGpuIds": "{gpu_ids}",
        "BeamLayerMultiGpuMaxWorkers": "{gpus}",
        "BeamLayerMultiGpuTempRoot": "{temp}",
    },
)

BUILT_IN = {flavour.name: flavour for flavour in (UPSTREAM, FORK, CLINIC)}
