"""The import name and the four folders are one: links, wheel, and a working folder with namesakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "solvers", "inverse", "cases")


def _files(*folders: str) -> set[str]:
    """Return the files that belong to the project: tracked, or new and not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the packaging tests need a git checkout: {done.stderr}"
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_symlink() or (ROOT / name).is_file()}


@pytest.mark.parametrize("room", ROOMS)
def test_links_resolve_to_the_rooms(room: str) -> None:
    link = ROOT / "src" / "retrodict" / room
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == ROOT / room
    assert (link / "__init__.py").is_file()


def test_a_folder_with_namesakes_of_the_rooms_is_no_trouble(tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise ImportError('the wrong one')\n")
    code = (
        "import retrodict.physics.spaces, retrodict.solvers.iterate, retrodict.inverse.estimators, "
        "retrodict.cases.verbs as v; print(v.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    for words in (("-c", code), ("-m", "retrodict", "list")):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_version_is_a_literal() -> None:
    import retrodict

    text = (ROOT / "src" / "retrodict" / "__init__.py").read_text()
    assert f'__version__ = "{retrodict.__version__}"' in text


def test_the_example_of_the_manual_is_at_most_forty_lines_of_code() -> None:
    import io
    import tokenize

    source = (ROOT / "docs" / "examples" / "retrodict_cooling" / "retrodict_cooling.py").read_text()
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {t.start[0] for t in tokens if t.type not in silent and not t.string.startswith('"""')}
    assert len(lines) <= 40


@pytest.mark.slow
def test_the_wheel_holds_the_tracked_files_of_the_rooms_and_works(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in _files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(tree)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {n.removeprefix("retrodict/") for n in archive.namelist() if n.startswith("retrodict/")}
        archive.extractall(tmp_path / "site")
    assert {n for n in held if n.split("/")[0] in ROOMS} == _files(*ROOMS)
    assert {n for n in held if n.split("/")[0] not in ROOMS} == {"__init__.py", "__main__.py", "py.typed"}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    listed = subprocess.run(
        [sys.executable, "-m", "retrodict", "list"], cwd=tmp_path, env=environment, timeout=60, check=False
    )
    assert listed.returncode == 0
