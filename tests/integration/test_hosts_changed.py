"""The steps of docs/howto.md: a host is added beside the only one, and removed; cases keep the host of their name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.spooled import shut, spooled, two_hosts

from mqi_communicator.app import App, build
from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.config import load
from mqi_communicator.flow.reconcile import reconcile
from mqi_communicator.flow.spool.layout import write_durably

KEY = "hostscase234"


async def restarted(app: App, folder: Path, **sections: object) -> App:
    """The next start, with these sections in place of `hosts`."""
    await shut(app)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    for name in ("hosts", "local"):
        settings.pop(name, None)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | sections))
    return build(load(folder / "config.yaml"))


async def test_a_host_is_added_and_removed(tmp_path):
    one, two = {"local": {"name": "one"}}, {"local": {"name": "two"}, "remote": str(tmp_path / "remote2")}
    app = await restarted(two_hosts(tmp_path), tmp_path, **one)
    try:
        spooled(app, KEY)
        await reconcile(app.tools)
        write_durably(app.tools.spool(KEY).sent_to, "one")
        app = await restarted(app, tmp_path, hosts=[one, two])
        assert list(app.tools.hosts) == ["one", "two"]
        assert (await app.tools.host_of(KEY)).name == "one"
        app = await restarted(app, tmp_path, hosts=[two])
        with pytest.raises(ActionRequired, match="computed on one, which is no longer configured") as waits:
            await app.tools.host_of(KEY)
        assert "add one to the configuration again" in waits.value.advice
        app = await restarted(app, tmp_path, hosts=[two, one])
        assert (await app.tools.host_of(KEY)).name == "one"
    finally:
        await shut(app)
