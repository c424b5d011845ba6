"""States of Slurm jobs (squeue(1), sacct(1)), and reasons why a job is pending."""

from __future__ import annotations

from mqi_communicator.compute.scheduler import Cause

QUEUED = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})
OVER = {
    "COMPLETED": Cause.OTHER,  # without an exit file: its gate was taken, or it could not write
    "FAILED": Cause.OTHER,
    "DEADLINE": Cause.TIME_LIMIT,
    "TIMEOUT": Cause.TIME_LIMIT,
    "OUT_OF_MEMORY": Cause.MEMORY,
    "NODE_FAIL": Cause.NODE,
    "BOOT_FAIL": Cause.NODE,
    "LAUNCH_FAILED": Cause.NODE,
    "PREEMPTED": Cause.PREEMPTED,
    "CANCELLED": Cause.CANCELLED,
    "REVOKED": Cause.CANCELLED,
}

_WAITS = {
    "None": "",
    "Resources": "waits for free nodes",
    "Priority": "jobs with a higher priority go first",
    "BeginTime": "may not start before its start time",
    "Reservation": "waits for the start of its reservation",
    "ReqNodeNotAvail": "its nodes are down, drained, or reserved for maintenance",
    "ReservedForMaintenance": "its nodes are reserved for maintenance",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition accepts no jobs",
    "Licenses": "waits for a licence",
    "Prolog": "the node is being prepared",
    "JobArrayTaskLimit": "waits for its turn",
}
_STUCK = {
    "PartitionTimeLimit": "requests more time than its partition allows: lower slurm.time_s",
    "PartitionNodeLimit": "requests more nodes than its partition has",
    "QOSMaxWallDurationPerJobLimit": "requests more time than its QOS allows: lower slurm.time_s",
    "AssocMaxWallDurationPerJobLimit": "requests more time than its account allows: lower slurm.time_s",
    "BadConstraints": "requests what no node has: check slurm.options and slurm.gres",
    "InvalidAccount": "its account is not valid: check slurm.account",
    "InvalidQOS": "its QOS is not valid: check slurm.qos",
    "JobHeldAdmin": "held by an administrator: ask the administrator to release it",
    "JobHeldUser": "held by a user: run scontrol release",
    "JobHoldMaxRequeue": "held by Slurm after too many attempts to start it",
    "DependencyNeverSatisfied": "depends on a job that cannot succeed",
    "launch failed requeued held": "held by Slurm because it could not be started",
    "job requeued in held state": "requeued and held by a user",
}


def state_of(word: str) -> str:
    """The bare state of a job: sacct appends who cancelled it, or a plus sign if it truncates."""
    return word.split(" ", 1)[0].rstrip("+").upper()


def pending(reason: str) -> tuple[str, bool]:
    """Why a job is pending, and whether this requires action."""
    bare = reason.strip("() ")
    for known, words in _STUCK.items():
        if bare.startswith(known):
            return f"{words} ({bare})", True
    first = bare.split(",", 1)[0].split(" ", 1)[0]
    if first.startswith(("Assoc", "QOS")):
        return f"waits for a limit of its account or QOS ({bare})", False
    if first not in _WAITS:
        return bare, False
    return f"{_WAITS[first]} ({bare})" if _WAITS[first] else "", False
