"""Opening a store to look at it, or to write orders: nothing is created, and nothing is upgraded."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import exc, inspect

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.database import (
    Database,
    StoreDamaged,
    interrupted,
    is_damage,
    make_engine,
    newest_version,
    version_of,
)
from mqi_communicator.store.restore import is_interrupted


def open_existing(path: Path, *, read_only: bool = False) -> Database:
    """Open the SQLite store at `path` as it is. ActionRequired if there is none, or none of this version.

    With `read_only`, SQLite refuses every change.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    except OSError as error:
        raise _cannot_be_opened(path, str(error.strerror)) from None
    if is_interrupted(path):
        raise interrupted(path)
    if not size:
        raise ActionRequired(
            f"there is no store yet: {path} does not exist",
            "start the communicator, which creates it; if it has run before, correct paths.workspace",
        )
    engine = make_engine(path, ("query_only=ON",) if read_only else (), mode="rw")
    try:
        with engine.connect() as connection:
            version = version_of(connection) if inspect(connection).has_table("alembic_version") else ""
    except exc.DatabaseError as error:
        if is_damage(error):
            raise StoreDamaged(f"the store {path} is damaged: {error.orig}", "mqi restore") from error
        raise _cannot_be_opened(path, str(error.orig)) from error
    if version != newest_version():
        raise _other_version(path, str(version))
    return Database(engine)


def _cannot_be_opened(path: Path, why: str) -> ActionRequired:
    return ActionRequired(
        f"the store {path} cannot be opened: {why}",
        "give this command as the user that runs the communicator, for example with sudo -u",
    )


def _other_version(path: Path, version: str) -> ActionRequired:
    if version < newest_version():
        return ActionRequired(
            f"the store {path} has the format of an older version of the communicator",
            "start the communicator of this version, which upgrades it; until then use the commands of the older one",
        )
    return ActionRequired(
        f"the store {path} has the format of a newer version of the communicator", "use the commands of that version"
    )
