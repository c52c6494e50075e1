import pytest

from retrodict.physics import errors


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n.endswith("Error") and n != "RetrodictError"])
def test_every_error_has_the_one_root_and_a_builtin_parent(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.RetrodictError)
    assert issubclass(kind, RuntimeError if name == "SolverError" else ValueError)


def test_message_says_where_what_came_and_what_was_expected():
    assert errors.expected("file.csv:3", "nan", "a number") == "file.csv:3: got nan, expected a number"


def test_messages_are_bounded_whatever_comes():
    message = errors.expected("w" * 10_000, "g" * 10_000_000, ["x" * 1000] * 1000)
    assert len(message) < 3000
    assert message.startswith("ww")
    assert "9999400 characters left out" in message
    assert len(errors.reason(errors.DataError("e" * 10**6))) < 10_000
    assert errors.expected("a", "g" * 500, "w") == f"a: got {'g' * 500}, expected w"
