import pytest

from retrodict.solvers.base import Solver, Status


@pytest.mark.parametrize("status", Status)
def test_every_status_explains_itself_and_only_converged_is_ok(status):
    assert status.message.endswith(".")
    assert len(status.message) > 20
    assert status.ok == (status is Status.CONVERGED)
    assert Status(status.value) is status


def test_messages_differ():
    assert len({s.message for s in Status}) == len(Status)


def test_the_protocol_asks_for_every_part(halve):
    assert isinstance(halve(), Solver)
    for part in ("init", "step", "done", "solution", "pack", "unpack", "name"):
        names = {n: (lambda _self: None) for n in ("init", "step", "done", "solution", "pack", "unpack", "name")}
        del names[part]
        assert not isinstance(type("Lacking", (), names)(), Solver)
