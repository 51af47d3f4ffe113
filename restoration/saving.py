"""Files written whole or not at all, into folders that are known to take them."""

import os
import secrets
from pathlib import Path

from restoration.image import ImageError


def check_folder(folder: Path) -> None:
    """Refuse a folder that nothing can be written into, which is known before anything is restored.

    Raises:
        ImageError: it is none, or may not be written to, or is full.
    """
    probe = folder / f".{secrets.token_hex(8)}.part"
    try:
        probe.write_bytes(b" ")
        probe.unlink()
    except OSError:
        raise ImageError(f"Nothing can be written to {folder}: is there such a folder, and room in it?") from None


def save(content: bytes, path: Path, *, overwrite: bool = True) -> None:
    """Write a file; a failure leaves no half-written one.

    Args:
        overwrite: whether one that is there is replaced.

    Raises:
        ImageError: no such folder, no room, or a file that is not to be replaced.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        if overwrite:
            os.replace(temporary, path)
        else:
            _publish(temporary, path)
    except BaseException as error:  # also where it is interrupted
        temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        if isinstance(error, FileExistsError):
            raise ImageError(f"There is a {path.name} already.") from None
        raise ImageError(f"{path.name} could not be written: is there such a folder, and room in it?") from None


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its name, unless something has it already.

    Raises:
        FileExistsError: something has.
    """
    try:
        os.link(temporary, path)  # in one step, unlike a look and a rename
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError from None
        os.replace(temporary, path)
    else:
        temporary.unlink()
