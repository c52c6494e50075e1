import pytest

from retrodict.physics import errors


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n.endswith("Error") and n != "RetrodictError"])
def test_every_error_has_the_one_root_and_a_builtin_parent(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.RetrodictError)
    assert issubclass(kind, RuntimeError if name == "SolverError" else ValueError)


def test_message_says_where_what_came_and_what_was_expected():
    assert errors.expected("file.csv:3", "nan", "a number") == "file.csv:3: got nan, expected a number"
