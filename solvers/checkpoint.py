"""Checkpoints: plain arrays under a checksum, a few of the newest kept, damage told and stepped over."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrodict.physics.errors import CheckpointError, expected
from retrodict.physics.spaces import Array
from retrodict.solvers.files import write_atomic

__all__ = ["Checkpoint", "CheckpointStore", "CheckpointWarning", "read_checkpoint", "write_checkpoint"]

_MAGIC = b"RETRODICT-CHECKPOINT-1\n"
_DIGEST = 32
_NAME = re.compile(r"step-(\d+)\.ckpt")


class CheckpointWarning(UserWarning):
    """A damaged checkpoint was found and an older one is used in its place."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on as if it had never stopped.

    Parameters
    ----------
    solver : str
        Name of the solver that wrote it.
    step : int
        Steps done.
    state : Mapping of str to ndarray
        The packed state.
    history : Mapping of str to ndarray
        Metrics of all steps done, one array of length ``step`` each.
    """

    solver: str
    step: int
    state: Mapping[str, Array]
    history: Mapping[str, Array]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, with a SHA-256 trailer over every byte before it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "step-00000001.ckpt"
    >>> write_checkpoint(path, Checkpoint("newton", 1, {"x": np.ones(2)}, {"loss": np.zeros(1)}))
    >>> read_checkpoint(path).state["x"]
    array([1., 1.])
    """
    stream = io.BytesIO()
    arrays = {f"state/{k}": np.asarray(v) for k, v in checkpoint.state.items()}
    arrays |= {f"history/{k}": np.asarray(v) for k, v in checkpoint.history.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise CheckpointError(expected(f"checkpoint array {name!r}", "dtype object", "a plain numeric array"))
    np.savez(stream, allow_pickle=False, **arrays)
    head = json.dumps({"solver": checkpoint.solver, "step": checkpoint.step}).encode() + b"\n"
    body = _MAGIC + head + stream.getvalue()
    write_atomic(path, lambda p: p.write_bytes(body + hashlib.sha256(body).digest()))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, or a single bit of it has changed.

    Examples
    --------
    >>> read_checkpoint(Path("none.ckpt"))
    Traceback (most recent call last):
    retrodict.physics.errors.CheckpointError: none.ckpt: got no file, expected a checkpoint
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CheckpointError(expected(str(path), "no file", "a checkpoint")) from error
    body, digest = raw[:-_DIGEST], raw[-_DIGEST:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise CheckpointError(expected(str(path), "bytes that do not match their checksum", "an undamaged checkpoint"))
    try:
        head, _, payload = body[len(_MAGIC) :].partition(b"\n")
        meta = json.loads(head)
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            arrays = {k: archive[k] for k in archive.files}
        split: dict[str, dict[str, Array]] = {"state": {}, "history": {}}
        for key, value in arrays.items():
            kind, _, name = key.partition("/")
            split[kind][name] = value
        return Checkpoint(str(meta["solver"]), int(meta["step"]), split["state"], split["history"])
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(expected(str(path), f"a damaged archive ({error})", "an undamaged checkpoint")) from error


@dataclass(frozen=True)
class CheckpointStore:
    """A folder of checkpoints.

    Parameters
    ----------
    folder : Path
        Where; made on the first write.
    every : int, optional
        Steps between two checkpoints.
    keep : int, optional
        How many of the newest stay; two or more, so that damage to one can be stepped over.

    Examples
    --------
    >>> import tempfile
    >>> store = CheckpointStore(Path(tempfile.mkdtemp()))
    >>> store.write(Checkpoint("newton", 3, {"x": np.ones(1)}, {}))
    >>> store.newest("newton").step
    3
    """

    folder: Path
    every: int = 1
    keep: int = 3

    def __post_init__(self) -> None:
        if self.every < 1 or self.keep < 2:
            got = f"every={self.every}, keep={self.keep}"
            raise CheckpointError(expected("CheckpointStore", got, "every >= 1 and keep >= 2"))

    def paths(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        named = {path: _NAME.fullmatch(path.name) for path in self.folder.glob("step-*.ckpt")}
        steps = {path: int(name[1]) for path, name in named.items() if name}
        return sorted(steps, key=steps.__getitem__, reverse=True)

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove those beyond ``keep``."""
        write_checkpoint(self.folder / f"step-{checkpoint.step:08d}.ckpt", checkpoint)
        for old in self.paths()[self.keep :]:
            old.unlink()

    def newest(self, solver: str) -> Checkpoint | None:
        """Return the newest undamaged checkpoint, None if the folder holds none.

        Warns
        -----
        CheckpointWarning
            For every damaged checkpoint stepped over.

        Raises
        ------
        CheckpointError
            If all are damaged, or the checkpoint belongs to another solver.
        """
        paths = self.paths()
        for path in paths:
            try:
                found = read_checkpoint(path)
            except CheckpointError as error:
                warnings.warn(f"{error}; the one before is used", CheckpointWarning, stacklevel=2)
                continue
            if found.solver != solver:
                raise CheckpointError(expected(str(path), f"a checkpoint of {found.solver!r}", f"one of {solver!r}"))
            return found
        if paths:
            raise CheckpointError(expected(str(self.folder), f"{len(paths)} damaged checkpoints", "one undamaged"))
        return None
