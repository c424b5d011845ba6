"""notify: show the state of the notification channels, or test them."""

from __future__ import annotations

from typing import Annotated

import typer

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.times import moment
from mqi_communicator.case.visible import visible
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.cases import open_store
from mqi_communicator.cli.options import DEFAULT, ConfigFile
from mqi_communicator.config import Config, load
from mqi_communicator.notify.dispatcher import Channel, channels
from mqi_communicator.notify.message import trial_message
from mqi_communicator.store import notices


def notify(
    config: ConfigFile = DEFAULT,
    *,
    test: Annotated[bool, typer.Option("--test", help="Send a test message on every channel.")] = False,
) -> None:
    """Show the last notification of each channel, or send a test message."""
    with exit_codes.report_faults():
        settings = load(config)
        if settings.notify is None:
            exit_codes.print_error("mqi: the configuration has no section `notify`, so no notifications are sent")
            raise typer.Exit(exit_codes.NOT_PASSED)
        found = [
            _send_test(channel) if test else _print_last_sent(settings, channel)
            for channel in channels(settings.notify)
        ]
        if not all(found):
            raise typer.Exit(exit_codes.NOT_PASSED)


def _send_test(channel: Channel) -> bool:
    try:
        incomplete = channel.send(trial_message())
    except Fault as fault:
        print(visible(f"NO  {channel.name}: {fault.reason}"))  # noqa: T201
        if fault.advice:
            print(visible(f"    -> {fault.advice}"))  # noqa: T201
        return False
    if incomplete:
        print(visible(f"NO  {channel.name}: {incomplete}"))  # noqa: T201
        return False
    print(f"ok  {channel.name}: a test message was accepted")  # noqa: T201
    return True


def _print_last_sent(settings: Config, channel: Channel) -> bool:
    mark = open_store(settings).read_now(notices.get_cursor, channel.name)
    if mark is None or not mark.sent:
        print(f"{channel.name}: nothing was sent yet")  # noqa: T201
    else:
        print(f"{channel.name}: last sent {moment(mark.sent)}")  # noqa: T201
    return True
