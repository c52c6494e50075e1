import hashlib
import os

import numpy as np
import pytest

from retrodict.physics.errors import CheckpointError
from retrodict.solvers.checkpoint import (
    Checkpoint,
    CheckpointStore,
    CheckpointWarning,
    read_checkpoint,
    write_checkpoint,
)
from retrodict.solvers.iterate import iterate

STATE = {
    "x": np.array([1.0, np.nan, -0.0, np.inf]),
    "count": np.array(7),
    "mask": np.array([True, False]),
    "g": np.array([1 + 2j]),
    "empty": np.zeros((0, 3)),
    "nested/name": np.arange(3, dtype="uint8"),
}


def written(folder, steps, value=0.0, solver="newton"):
    store = CheckpointStore(folder)
    for k in steps:
        store.write(Checkpoint(solver, k, {"x": np.array([value + k])}, {"loss": np.arange(float(k % 1000))}))
    return store


def flip(path, at, bit=0):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << bit
    path.write_bytes(bytes(raw))


def test_arrays_come_back_to_the_last_bit(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, Checkpoint("nëwton:x", 12, STATE, {"loss": np.array([0.1])}))
    back = read_checkpoint(path)
    assert (back.solver, back.step, set(back.state)) == ("nëwton:x", 12, set(STATE))
    for name, array in STATE.items():
        assert (back.state[name].dtype, back.state[name].shape) == (array.dtype, array.shape)
        assert back.state[name].tobytes() == array.tobytes()
    np.testing.assert_array_equal(back.history["loss"], [0.1])


def test_any_flipped_bit_and_any_truncation_is_found(tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, Checkpoint("newton", 1, {"x": np.arange(20.0)}, {}))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    spots = {0, len(whole) - 1, *rng.integers(0, len(whole), 100).tolist()}
    for spot in spots:
        flip(path, spot, int(rng.integers(8)))
        with pytest.raises(CheckpointError, match="do not match their checksum"):
            read_checkpoint(path)
        path.write_bytes(whole[:spot])
        with pytest.raises(CheckpointError, match=r"a\.ckpt: got bytes"):
            read_checkpoint(path)
        path.write_bytes(whole)


def test_a_right_checksum_over_nonsense_is_still_a_damaged_archive(tmp_path):
    path = tmp_path / "a.ckpt"
    body = b'RETRODICT-CHECKPOINT-1\n{"solver": "newton", "step": 1}\nno archive'
    path.write_bytes(body + hashlib.sha256(body).digest())
    with pytest.raises(CheckpointError, match="damaged archive"):
        read_checkpoint(path)


def test_objects_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(CheckpointError, match="checkpoint array 'state/x': got dtype object"):
        write_checkpoint(tmp_path / "a.ckpt", Checkpoint("newton", 1, {"x": np.array([None])}, {}))
    assert list(tmp_path.iterdir()) == []


def test_the_newest_few_are_kept(tmp_path):
    store = written(tmp_path, [1, 2, 3, 9, 10, 11])
    assert [p.name for p in store.paths()] == [f"step-{k:08d}.ckpt" for k in (11, 10, 9)]
    assert store.newest("newton").step == 11


def test_a_damaged_newest_is_told_and_the_one_before_used(tmp_path):
    store = written(tmp_path, [1, 2, 3])
    flip(store.paths()[0], 60)
    with pytest.warns(CheckpointWarning, match=r"step-00000003\.ckpt: .*the one before is used"):
        found = store.newest("newton")
    assert found.step == 2
    assert found.state["x"][0] == 2.0


def test_a_run_resumed_past_a_damaged_checkpoint_equals_the_whole(halve, tmp_path):
    whole = iterate(halve(below=1e-3), 20)
    store = CheckpointStore(tmp_path)
    iterate(halve(below=1e-3), 5, checkpoint=store)
    flip(store.paths()[0], -40)
    with pytest.warns(CheckpointWarning):
        result = iterate(halve(below=1e-3), 20, checkpoint=store, resume=True)
    assert result.history.equals(whole.history)


def test_all_damaged_is_an_error(tmp_path):
    store = written(tmp_path, [1, 2])
    for path in store.paths():
        path.write_bytes(b"")
    with (
        pytest.warns(CheckpointWarning),
        pytest.raises(CheckpointError, match="got 2 damaged checkpoints, expected one undamaged"),
    ):
        store.newest("newton")


def test_none_written_is_none_and_another_solvers_is_refused(tmp_path):
    assert CheckpointStore(tmp_path / "none").newest("newton") is None
    with pytest.raises(CheckpointError, match="got a checkpoint of 'newton', expected one of 'adam'"):
        written(tmp_path, [1]).newest("adam")


@pytest.mark.parametrize(("every", "keep"), [(0, 3), (1, 1), (-1, 2)])
def test_a_store_that_could_lose_a_run_is_refused(tmp_path, every, keep):
    with pytest.raises(CheckpointError, match=r"CheckpointStore: got every=.*expected every >= 1 and keep >= 2"):
        CheckpointStore(tmp_path, every=every, keep=keep)


def test_left_over_parts_are_no_checkpoints(tmp_path):
    store = written(tmp_path, [1])
    (tmp_path / ".step-00000002.ckpt.x.part").write_bytes(b"half")
    assert [p.name for p in store.paths()] == ["step-00000001.ckpt"]


def test_the_newest_is_that_of_the_last_step_and_not_of_the_last_write(tmp_path):
    store = written(tmp_path, [9, 99_999_999, 100_000_000])
    written(tmp_path, [100_000_001])
    for age, path in enumerate(reversed(store.paths())):
        os.utime(path, (1000 - age, 1000 - age))
    assert [read_checkpoint(p).step for p in store.paths()] == [100_000_001, 100_000_000, 99_999_999]
    assert store.newest("newton").step == 100_000_001
    store.write(Checkpoint("newton", 5, {"x": np.ones(1)}, {}))  # beyond those that are kept
    assert [read_checkpoint(p).step for p in store.paths()] == [100_000_001, 100_000_000, 99_999_999]
