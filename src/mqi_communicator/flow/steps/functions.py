"""The function of each step. Separate from the table of steps, so that reading a case's state loads none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mqi_communicator.case.model import WorkItem
from mqi_communicator.case.outcome import Outcome
from mqi_communicator.flow.steps.admit import admit
from mqi_communicator.flow.steps.collect import collect
from mqi_communicator.flow.steps.compare import compare
from mqi_communicator.flow.steps.deliver import deliver
from mqi_communicator.flow.steps.document import document
from mqi_communicator.flow.steps.extend import extend
from mqi_communicator.flow.steps.follow import follow
from mqi_communicator.flow.steps.join import join
from mqi_communicator.flow.steps.judge import judge
from mqi_communicator.flow.steps.prepare import prepare
from mqi_communicator.flow.steps.publish import publish
from mqi_communicator.flow.steps.receive import receive
from mqi_communicator.flow.steps.reconstruct import reconstruct
from mqi_communicator.flow.steps.report import report
from mqi_communicator.flow.steps.submit import submit
from mqi_communicator.flow.steps.tidy import tidy
from mqi_communicator.flow.steps.upload import upload
from mqi_communicator.flow.steps.verify import verify
from mqi_communicator.flow.tools import Tools

PERFORM: dict[str, Callable[[WorkItem, Tools], Awaitable[Outcome]]] = {
    "admit": admit,
    "prepare": prepare,
    "upload": upload,
    "compare": compare,
    "report": report,
    "deliver": deliver,
    "extend": extend,
    "tidy": tidy,
    "submit": submit,
    "follow": follow,
    "collect": collect,
    "verify": verify,
    "receive": receive,
    "join": join,
    "judge": judge,
    "document": document,
    "publish": publish,
    "reconstruct": reconstruct,
}
