import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def files():
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("synthetic_files.py"))))


@pytest.fixture
def written(tmp_path):
    """Write bytes under a name and return the path."""

    def write(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write
