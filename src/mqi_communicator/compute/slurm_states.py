"""What Slurm's words mean: states of jobs (squeue(1), sacct(1)), and reasons why one is still pending."""

from __future__ import annotations

from mqi_communicator.compute.scheduler import Cause

QUEUED = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})
OVER = {
    "COMPLETED": Cause.OTHER,  # and left no exit file: it found its gate taken, or could not write
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
    "Resources": "waits for nodes to become free",
    "Priority": "jobs of a higher priority go first",
    "BeginTime": "may not begin before its time",
    "Reservation": "waits for its reservation to begin",
    "ReqNodeNotAvail": "its nodes are down, drained, or reserved for maintenance",
    "ReservedForMaintenance": "its nodes are reserved for maintenance",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs",
    "Licenses": "waits for a licence",
    "Prolog": "the node is being prepared",
    "JobArrayTaskLimit": "waits for its turn",
}
_STUCK = {
    "PartitionTimeLimit": "asks for more time than its partition allows: lower slurm.time_s",
    "PartitionNodeLimit": "asks for more nodes than its partition has",
    "QOSMaxWallDurationPerJobLimit": "asks for more time than its QOS allows: lower slurm.time_s",
    "AssocMaxWallDurationPerJobLimit": "asks for more time than its account allows: lower slurm.time_s",
    "BadConstraints": "asks for what no node has: look at slurm.options and slurm.gres",
    "InvalidAccount": "its account is not valid: look at slurm.account",
    "InvalidQOS": "its QOS is not valid: look at slurm.qos",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "somebody holds it: scontrol release",
    "JobHoldMaxRequeue": "Slurm holds it after too many tries to start it",
    "DependencyNeverSatisfied": "waits for a job that will never end well",
    "launch failed requeued held": "Slurm could not start it and holds it",
    "job requeued in held state": "somebody requeued and holds it",
}


def state_of(word: str) -> str:
    """The bare state of a job: sacct adds who cancelled it, or a plus sign where it cuts."""
    return word.split(" ", 1)[0].rstrip("+").upper()


def pending(reason: str) -> tuple[str, bool]:
    """Why a job is pending, in words, and whether that goes away only if somebody does something."""
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
