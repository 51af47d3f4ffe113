"""The database of the records: its table, and how it is opened so that nothing on the disk is lost."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

VERSION = 1
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS runs (
        task TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL,
        width INTEGER NOT NULL, height INTEGER NOT NULL, out_width INTEGER NOT NULL, out_height INTEGER NOT NULL,
        settings TEXT NOT NULL, seconds TEXT NOT NULL, weights TEXT NOT NULL, device TEXT NOT NULL,
        reason TEXT NOT NULL, metrics TEXT, id TEXT NOT NULL UNIQUE, time REAL NOT NULL,
        rating TEXT, comment TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS runs_by_time ON runs (time)",
    "CREATE INDEX IF NOT EXISTS runs_by_model ON runs (task, model, device, outcome, time)",
    f"PRAGMA user_version = {VERSION}",
)

LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def on_disk(path: Path, patience: float) -> sqlite3.Connection:
    """The database of a file, a new one if what is there cannot be used.

    Args:
        patience: seconds that SQLite waits for a lock.

    Raises:
        OSError, sqlite3.Error: the disk does not let us.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return prepared(uri(path), patience)
    except sqlite3.DatabaseError as error:
        if code(error) not in DAMAGED:
            raise
    move_aside(path)
    return prepared(uri(path), patience)


def prepared(address: str, patience: float) -> sqlite3.Connection:
    """A connection that writes, to a sound database with our table.

    Raises:
        sqlite3.Error: there is none; its code is one of `DAMAGED` if that is the file's fault.
    """
    connection = sqlite3.connect(address, timeout=patience, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION or connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            damage = sqlite3.DatabaseError("not a database of ours")
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        if version < VERSION:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in SCHEMA:
                    connection.execute(statement)
        return connection
    except BaseException:
        connection.close()
        raise


def move_aside(path: Path) -> None:
    """Rename a database, and the log that belongs to it, to the first `.corrupt-N` that is free."""
    number = 1
    while path.with_name(f"{path.name}.corrupt-{number}").exists():
        number += 1
    for part in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + part).rename(path.with_name(f"{path.name}.corrupt-{number}{part}"))


def uri(path: Path) -> str:
    """A path as SQLite's addresses have it."""
    return f"file:{quote(str(path))}"


def inode(path: Path) -> int | None:
    """What tells a file from another of its name."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def code(error: Exception) -> int:
    """SQLite's number of an error without its finer points, 0 if there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
