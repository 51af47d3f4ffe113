"""A batch on a Ray cluster; needs the extra `ray`, and the files on a path that all nodes have.

Moritz et al. "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018, arXiv:1712.05889.
A worker that dies is started anew and begins its unit again; what it had finished is found there and not repeated.
"""

import socket
from collections.abc import Generator
from uuid import uuid4

import torch

from restoration.batch import Batch, BatchProgress
from restoration.report import Row
from restoration.workers import Rows, Unit, ended, in_order

PATIENCE = 10  # seconds, for the head of a cluster to answer
TRIES = 6  # of a unit whose worker dies


def restore_on_ray(batch: Batch, address: str, size: int | None = None) -> Generator[BatchProgress, None, None]:
    """Restore a batch by the workers of a cluster; yields a step for every row, in order.

    Dropping the generator stops the work.

    Args:
        address: of the cluster; "auto" is the one that runs here, or a new one on this machine alone.
        size: of the pool; by default one worker a GPU if there are any, else one a processor.

    Raises:
        ValueError: Ray is not installed, or there is no such cluster.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        _connect(ray, address)
    pool = None
    try:
        pool = Tasks(ray, batch, size)
        yield from in_order(batch, pool)
    finally:
        if pool:
            pool.close()
        if started:
            ray.shutdown()


class Tasks:
    """A pool of Ray tasks, a GPU or a processor each; a process that has run one has the models for the next."""

    def __init__(self, ray: object, batch: Batch, size: int | None):
        self._ray, resources = ray, ray.cluster_resources()
        kind = "GPU" if resources.get("GPU") else "CPU"
        self.size = size or max(1, int(resources.get(kind, 1)))
        needs = {"num_gpus": 1, "num_cpus": 0} if kind == "GPU" else {"num_cpus": 1}
        self._task = ray.remote(**needs, max_retries=TRIES)(_rows)
        self._run, self._batch = uuid4().hex, ray.put(batch)
        self._units: dict[object, Unit] = {}

    def submit(self, unit: Unit) -> object:
        reference = self._task.remote(self._run, self._batch, unit)
        self._units[reference] = unit
        return reference

    def finished(self) -> list[tuple[object, list[Row]]]:
        done, _ = self._ray.wait(list(self._units), num_returns=1)
        return [(reference, self._rows_of(reference)) for reference in done]

    def _rows_of(self, reference: object) -> list[Row]:
        unit = self._units.pop(reference)
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError:
            return ended(unit)

    def close(self) -> None:
        """End those that have not begun, and those that have, too."""
        for reference in self._units:
            self._ray.cancel(reference, force=True)


_here: dict[str, Rows] = {}  # of this process, by the run: the last one's alone


def _rows(run: str, batch: Batch, unit: Unit) -> list[Row]:
    if run not in _here:
        _here.clear()
        torch.set_num_threads(1)
        _here[run] = Rows(batch)
    return _here[run].of(unit)


def _ray() -> object:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise ValueError("Ray is not installed: pip install 'ray>=2.50'.") from None
    return ray


def _connect(ray: object, address: str) -> None:
    """Join a cluster.

    Raises:
        ValueError: there is none.
    """
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address != "auto":
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), PATIENCE).close()  # Ray itself would wait for minutes
            ray.init(address, **quiet)
            return
        try:
            ray.init("auto", **quiet)
        except ConnectionError:
            ray.init(**quiet, include_dashboard=False)
    except (OSError, RuntimeError, ValueError):
        raise ValueError(f"There is no Ray cluster at {address}.") from None
