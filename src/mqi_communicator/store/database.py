"""Opening the store, and the only access to it for reading and writing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.store.backup import DAMAGED, Backup, is_blank, quoted
from mqi_communicator.store.restore import is_interrupted
from mqi_communicator.store.schema import ownership
from mqi_communicator.store.store_file import StoreFile
from mqi_communicator.system.durable import sync_folder

P = ParamSpec("P")
T = TypeVar("T")
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "9p", "fuse.sshfs"}
LOCK_PATIENCE_S = 60


class LostOwnership(ActionRequired):
    """Another communicator has taken over the store: this process may not write any more."""


class StoreUnavailable(ActionRequired):
    """The store could not be read or written: its disk is full, or it is locked."""


class StoreDamaged(ActionRequired):
    """The database file is damaged: restore a backup."""


class StoreReplaced(StoreDamaged):
    """The database file was removed or replaced while it was open: nothing may be written to it any more."""


@contextmanager
def _as_faults() -> Iterator[None]:
    try:
        yield
    except exc.DatabaseError as error:
        if type(error) not in (exc.OperationalError, exc.DatabaseError):
            raise  # an internal error
        if is_damage(error):
            raise StoreDamaged(f"the store is damaged: {error.orig}", "mqi restore") from None
        advice = "free some space on the disk of paths.workspace; nothing is lost, the work continues automatically"
        raise StoreUnavailable(f"the store is unavailable: {error.orig}", advice) from None


def is_damage(error: exc.DatabaseError) -> bool:
    """Whether an error of the database is due to a damaged file."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in DAMAGED


class Database:
    """An open store.

    `epoch` is set once this process owns it; without it only orders may be written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(4, "store")  # its own: a hung share may block the default pool
        self.epoch: int | None = None
        self._file: StoreFile | None = None

    def watch_file(self) -> None:
        """Remember the file for `check_file`."""
        if self._file is None:
            self._file = StoreFile(Path(str(self._engine.url.database)))

    def check_file(self) -> None:
        """StoreReplaced if the file was removed or replaced since `watch_file`. One stat of a local disk."""
        try:
            replaced = self._file is not None and self._file.was_replaced()
        except OSError as error:
            raise StoreUnavailable(f"the store cannot be checked: {error.strerror}", "check its disk") from None
        if replaced:
            path = self._engine.url.database
            raise StoreReplaced(f"the store {path} was removed or replaced while the communicator ran", "mqi restore")

    def rescue(self, folder: Path, keep: int, now: float) -> Backup | None:
        """Save the open file, even if its name is gone, as a backup in `folder`. Faults as `back_up`."""
        return None if self._file is None else self._file.rescue(folder, keep, now)

    def read_now(self, ask: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query function of store.* in a read transaction."""
        with _as_faults(), self._engine.connect() as connection:
            return ask(connection, *args, **kwargs)

    def write_now(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a change function of store.* in one transaction. LostOwnership if another process has taken the store."""
        with _as_faults(), self._engine.connect().execution_options(mqi_write=True) as connection, connection.begin():
            if self.epoch is not None:
                now = connection.execute(select(ownership.c.epoch)).scalar_one()
                if now != self.epoch:
                    raise LostOwnership("another communicator has taken over this store", "stop one of them")
            return change(connection, *args, **kwargs)

    async def read(self, ask: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read_now` in a thread, without blocking the event loop."""
        work = partial(self.read_now, ask, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write_now` in a thread, without blocking the event loop."""
        work = partial(self.write_now, change, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Close all connections, after a running change."""
        self._threads.shutdown()
        self._engine.dispose()
        if self._file is not None:
            self._file.close()


def open_database(path: Path) -> Database:
    """Open the SQLite store at `path`, creating or upgrading it. ActionRequired if it cannot be used."""
    kind = file_system_of(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ActionRequired(
            f"the store {path} is on a network file system ({kind}), where its locks are unreliable",
            "set paths.workspace to a folder on a local disk",
        )
    if is_interrupted(path):
        raise interrupted(path)
    old = os.umask(0o077)
    try:
        engine = make_engine(path)
        _upgrade(engine)
        sync_folder(path.parent)  # SQLite leaves it to others that a new file, and the end of a journal, are durable
    except exc.DatabaseError as error:
        if is_damage(error):
            raise StoreDamaged(f"the store {path} is damaged: {error.orig}", "mqi restore") from error
        raise ActionRequired(
            f"the store {path} cannot be used: {error.orig}", "if the disk is full, free some space"
        ) from error
    finally:
        os.umask(old)
    return Database(engine)


def interrupted(path: Path) -> ActionRequired:
    """The fault of a store whose restore has not ended."""
    return ActionRequired(
        f"a restore of the store {path} was interrupted", "run mqi restore again, or start the communicator"
    )


def file_system_of(folder: Path) -> str:
    """The type of the file system that holds `folder` ("ext4", "nfs4", ...), "" if unknown."""
    wanted = os.path.realpath(folder)
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        mount = left.split()[4].encode().decode("unicode_escape")
        inside = wanted == mount or wanted.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, right.split()[0]
    return kind


def make_engine(path: Path, pragmas: Sequence[str] = (), *, mode: str = "rwc") -> Engine:
    """Connections to the SQLite file `path`. `mode`: rwc creates it if it is missing, rw does not
    (https://sqlite.org/uri.html). `pragmas`: more settings of each connection."""

    def connect() -> sqlite3.Connection:
        where = f"file:{quoted(path)}?mode={mode}"
        return sqlite3.connect(where, uri=True, timeout=LOCK_PATIENCE_S, isolation_level=None, check_same_thread=False)

    # hide_parameters: an error's text would quote them, and a folder's name may be a patient's
    engine = create_engine(f"sqlite:///{path}", creator=connect, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _settings(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer locks at once: one that reads first and then meets another writer can only fail.
        write = connection.get_execution_options().get("mqi_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def needs_upgrade(path: Path) -> bool:
    """Whether the store at `path` has the format of an older version, which `open_database` upgrades."""
    if is_blank(path):
        return False
    engine = make_engine(path, mode="rw")
    try:
        return "" < _format_of(engine) < newest_version()
    finally:
        engine.dispose()


def _format_of(engine: Engine) -> str:
    """The version of a store, "" if it is new."""
    with engine.connect() as connection, connection.begin():
        return (version_of(connection) or "") if inspect(connection).has_table("alembic_version") else ""


def _upgrade(engine: Engine) -> None:
    if (version := _format_of(engine)) == newest_version():
        return
    if version > newest_version():
        raise ActionRequired(
            f"the store {engine.url.database} has the format of a newer version of the communicator",
            "start that version, or restore the backup that was made before the upgrade (mqi restore FILE)",
        )
    from alembic import command  # imported here: loading it is a large part of the start-up time
    from alembic.config import Config as AlembicConfig

    settings = AlembicConfig()
    settings.set_main_option("script_location", "mqi_communicator.store:migrations")
    settings.set_main_option("path_separator", "os")
    with engine.connect().execution_options(mqi_write=True) as connection, connection.begin():
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def newest_version() -> str:
    """The newest version of the store, from the names of the migrations."""
    return max(file.stem[1:5] for file in (Path(__file__).parent / "migrations" / "versions").glob("v????_*.py"))


def version_of(connection: Connection) -> str | None:
    """The version of an open store."""
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version


def take_epoch(connection: Connection, holder: str) -> int:
    """Become the owner: every write with an older epoch is refused from now on."""
    epoch: int | None = connection.execute(select(ownership.c.epoch)).scalar_one_or_none()
    if epoch is None:
        connection.execute(ownership.insert().values(id=1, epoch=1, holder=holder))
        return 1
    connection.execute(update(ownership).values(epoch=epoch + 1, holder=holder))
    return epoch + 1
