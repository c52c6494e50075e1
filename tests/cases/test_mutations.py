"""Two hundred damaged copies of each of our file formats: every one is detected, or says the same as the original."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from retrodict.cases.record import read_provenance, reopen
from retrodict.physics.errors import CheckpointError, DataError
from retrodict.solvers.checkpoint import read_checkpoint
from retrodict.solvers.result import load_dataset

from .conftest import Cli

pytestmark = pytest.mark.usefixtures("no_figures")


def mutants(raw: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield damaged copies: flipped bits, cuts, lost and doubled blocks, zeroed sectors, rubbish at the end."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        data = bytearray(raw)
        at = int(rng.integers(len(data)))
        length = int(rng.integers(1, 1 + min(64, len(data) - at)))
        match number % 7:
            case 0 | 1:
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at : at + length] = bytes(length)
            case 6:
                data += rng.bytes(length)
        yield bytes(data)


def _open(path: Path) -> object:
    with reopen(path.parent, "report") as folder:
        return folder.settings()


READERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "checkpoints/step-00000003.ckpt": (lambda p: _checkpoint(p), CheckpointError),
    "result.nc": (lambda p: load_dataset(p).to_dict(), DataError),
    "history.nc": (lambda p: load_dataset(p).to_dict(), DataError),
    "config.toml": (_open, DataError),
    "provenance.json": (lambda p: read_provenance(p.parent), DataError),
}


def _checkpoint(path: Path) -> object:
    found = read_checkpoint(path)
    return found.solver, found.step, {k: v.tobytes() for k, v in found.state.items()}


@pytest.mark.parametrize("name", READERS)
def test_damage_is_detected(cli: Cli, name: str) -> None:
    cli("fit", "cooling", "--set", "max_steps=3", "--out", "f")
    path = Path("f") / name
    read, error = READERS[name]
    original, raw = read(path), path.read_bytes()
    detected = 0
    for mutant in mutants(raw, 200, seed=5):
        path.write_bytes(mutant)
        try:
            found = read(path)
        except error:
            detected += 1
        else:
            assert found == original
            assert mutant == raw or name == "provenance.json"
    assert detected > 150
