"""What happens to a Slurm cluster and to our jobs on it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.faults.catalogue import fault
from tests.faults.testbed import Testbed
from tests.slurm.cluster import Cluster


@fault("controller stopped", (3, 12), backend="slurm")
def controller_stopped(testbed: Testbed, _: Random) -> Iterator[None]:
    """SIGSTOP of Slurm's controller: no command of Slurm gets an answer."""
    _cluster(testbed).pause_controller()
    yield
    _cluster(testbed).resume_controller()


@fault("controller down", (3, 12), backend="slurm")
def controller_down(testbed: Testbed, _: Random) -> Iterator[None]:
    """Slurm's controller ends, and is started again later; jobs continue."""
    _cluster(testbed).stop_controller()
    yield
    _cluster(testbed).start_controller()


@fault("node lost", (3, 9), backend="slurm")
def node_lost(testbed: Testbed, random: Random) -> Iterator[None]:
    """A node and all of its jobs are gone; it returns later."""
    number = random.choice((1, 2))
    _cluster(testbed).kill_node(number)
    yield
    _cluster(testbed).start_node(number)


@fault("node drained", (3, 9), backend="slurm")
def node_drained(testbed: Testbed, random: Random) -> Iterator[None]:
    """A node is drained: its jobs continue, and no other starts on it; later it is resumed."""
    name = random.choice(("node1", "node2"))
    _cluster(testbed).ask("scontrol", "update", f"NodeName={name}", "State=DRAIN", "Reason=maintenance")
    yield
    _cluster(testbed).ask("scontrol", "update", f"NodeName={name}", "State=RESUME")


@fault("job cancelled there", backend="slurm")
def job_cancelled(testbed: Testbed, random: Random) -> Iterator[None]:
    """Somebody cancels one of our jobs with scancel: an operator must decide."""
    if number := _some_job(testbed, random):
        key = _cluster(testbed).ask("squeue", "-h", "-j", number, "-o", "%j").partition("-")[0]
        testbed.damaged.add(testbed.number_of(key))
        _cluster(testbed).ask("scancel", number)
    yield


@fault("job requeued there", backend="slurm")
def job_requeued(testbed: Testbed, random: Random) -> Iterator[None]:
    """Somebody puts one of our running jobs back into the queue."""
    if number := _some_job(testbed, random, "--states=RUNNING"):
        _cluster(testbed).ask("scontrol", "update", f"jobid={number}", "Requeue=1")
        _cluster(testbed).ask("scontrol", "requeue", number)
    yield


def _cluster(testbed: Testbed) -> Cluster:
    assert testbed.cluster is not None
    return testbed.cluster


def _some_job(testbed: Testbed, random: Random, *words: str) -> str:
    found = testbed.find(lambda: sorted(_cluster(testbed).ask("squeue", "-h", "-o", "%i", *words).split()))
    return random.choice(found) if found else ""
