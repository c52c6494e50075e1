"""What the completeness tests look for: the public functions and classes of the suite, by import."""

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest


def _modules(*packages: str) -> list[ModuleType]:
    """Every module below the packages, those of heavy optional readers included."""
    found = []
    for name in packages:
        package = importlib.import_module(name)
        found.append(package)
        if hasattr(package, "__path__"):
            found += [importlib.import_module(m.name) for m in pkgutil.walk_packages(package.__path__, f"{name}.")]
    return found


def _public(*packages: str) -> dict[str, object]:
    """Functions and classes that a module defines itself and does not hide, by full name."""
    return {
        f"{module.__name__}.{name}": thing
        for module in _modules(*packages)
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    }


@pytest.fixture(scope="session")
def public():
    return _public


def _returns(thing: object, *types: str) -> bool:
    """Whether a function says that it returns one of the types."""
    if not inspect.isfunction(thing):
        return False
    said = str(inspect.get_annotations(thing).get("return", ""))
    return any(t in said for t in types)


@pytest.fixture(scope="session")
def returns():
    return _returns


def _offers(thing: object, *names: str) -> bool:
    """Whether a class that can be built has all of the members; protocols only describe."""
    if not inspect.isclass(thing) or getattr(thing, "_is_protocol", False):
        return False
    fields = {k for base in thing.__mro__ for k in getattr(base, "__annotations__", {})}
    return all(hasattr(thing, n) or n in fields for n in names)


@pytest.fixture(scope="session")
def offers():
    return _offers
