"""Thousands of files: by one process, by several, or by a Ray cluster; the same results, receipts and table."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing

from restoration.batch import Batch, BatchProgress, restore_all
from restoration.files import MAX_MEGAPIXELS, Format, Metadata, read
from restoration.inventory import Inventory
from restoration.orders import Order
from restoration.remote import place
from restoration.report import Row
from restoration.upscaling import results_of_any_size


def restored_by(batch: Batch, workers: int | None = 1, ray: str | None = None) -> Generator[BatchProgress, None, None]:
    """Restore a batch; yields a step for every row, in the order of the files, and by one process also between.

    Args:
        workers: processes, or of a cluster's processors or GPUs how many are used; None is as many as there are.
        ray: address of a Ray cluster, or "auto".

    Raises:
        ValueError: see `restore_files`.
    """
    if ray is not None:
        from restoration.cluster import restore_on_ray

        return restore_on_ray(batch, ray, workers)
    from restoration.workers import restore_in_processes, workers_for

    size = workers_for(batch, workers) if workers != 1 else 1
    return restore_all(batch) if size == 1 else restore_in_processes(batch, size)


def restore_files(
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike,
    task: str = "photo",
    model: str = "",
    settings: Mapping[str, object] | None = None,
    *,
    mask: str | os.PathLike | None = None,
    avoid: str | os.PathLike | None = None,
    format: Format = "png",
    quality: int = 95,
    metadata: Metadata = "private",
    receipts: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    limit: float | None = MAX_MEGAPIXELS,
    workers: int | None = 1,
    ray: str | None = None,
) -> Iterator[Row]:
    """Restore files, and all pictures in folders, into a folder; what `python -m restoration TASK` does with many.

    The rows, which `report.csv` has too, come in the order of the files as they are done; a file that cannot be
    restored is a row. Dropping the iterator stops the work.

    Args:
        inputs, output: paths, or URLs that fsspec takes, such as s3:// and hf://.
        settings: of the task, by name, that are not to be at their default.
        mask, avoid: pictures of what is missing, and of what may not be copied into it; white.
        overwrite, resume, limit, receipts: see `Batch`.
        workers: processes; None is one a processor. With `ray`, how many of the cluster's processors or GPUs.
        ray: address of a Ray cluster, or "auto"; needs the extra `ray`, and files that all its nodes see.

    Raises:
        ValueError: no such task, model or setting, a folder that cannot be written to, more workers than memory holds,
            no such cluster.
    """
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    folder = place(os.fspath(output))
    batch = Batch(
        order=Order(task, model, settings or {}),
        files=Inventory([place(os.fspath(path)) for path in paths], folder),
        folder=folder,
        mask=read(mask, limit=limit) if mask else None,
        avoid=read(avoid, limit=limit) if avoid else None,
        format=format,
        quality=quality,
        metadata=metadata,
        receipts=receipts,
        overwrite=overwrite,
        skip_results=True,
        resume=resume,
        limit=limit,
    )
    return _rows(restored_by(batch, workers, ray))


def _rows(work: Generator[BatchProgress, None, None]) -> Iterator[Row]:
    with closing(work):
        while True:
            with results_of_any_size():  # only while it is at work
                step = next(work, None)
            if step is None:
                return
            if step.row:
                yield step.row
