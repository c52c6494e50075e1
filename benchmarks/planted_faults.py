"""Plant faults in the core, one at a time, in a copy of the tree, and see whether the fast tests catch them.

    python benchmarks/planted_faults.py [--only lock,noise] [--list]

Each fault is one replacement in one file, whose old text must occur there exactly once, and the fast tests (not marked
slow) that touch the module are run on the copy until the first one fails. The unchanged copy must pass first. Exit code
1 if more than two faults are missed, or a replacement does not fit the tree any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = "tests/robustness/test_folders.py"
CHECKPOINTS = "tests/solvers/test_checkpoint.py"
MAY_MISS = 2


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    name : str
        What goes wrong.
    file, old, new : str
        Where, and what is replaced by what.
    tests : str
        Files or folders of tests that touch the module, separated by blanks.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


FAULTS = (
    Fault("a file is not synced", "solvers/files.py", "os.fsync(stream.fileno())", "stream.fileno()", FOLDERS),
    Fault("a folder is not synced", "solvers/files.py", "os.fsync(directory)", "os.fstat(directory)", FOLDERS),
    Fault("links are followed", "solvers/files.py", "flags | os.O_NOFOLLOW |", "flags |", FOLDERS),
    Fault(
        "a torn line stays in the log",
        "solvers/files.py",
        "os.ftruncate(handle, before)",
        "os.fstat(handle)",
        FOLDERS,
    ),
    Fault(
        "the lock is shared",
        "cases/lock.py",
        "_hold(handle, path, fcntl.LOCK_EX)",
        "_hold(handle, path, fcntl.LOCK_SH)",
        FOLDERS,
    ),
    Fault(
        "a folder is not looked at again under the lock",
        "cases/record.py",
        "        _require_vacant(path)  # another run may have come first\n",
        "",
        FOLDERS,
    ),
    Fault(
        "a file's checksum is not compared",
        "cases/record.py",
        "if path.is_file() and sha256(path) == digest:",
        "if path.is_file():",
        "tests/cases/test_verbs.py",
    ),
    Fault(
        "checkpoints go by time of writing",
        "solvers/checkpoint.py",
        "key=steps.__getitem__",
        "key=lambda p: p.stat().st_mtime_ns",
        CHECKPOINTS,
    ),
    Fault(
        "one checkpoint only is kept",
        "solvers/checkpoint.py",
        "self.paths()[self.keep :]",
        "self.paths()[1:]",
        CHECKPOINTS,
    ),
    Fault(
        "unknown tables of a settings file are passed over",
        "cases/config.py",
        "    refuse_unknown(tables, _TABLES, str(path), wanted, ConfigError)\n",
        "",
        "tests/cases/test_config.py",
    ),
    Fault(
        "a resumed run forgets its history",
        "solvers/iterate.py",
        "_History({} if stored is None else stored.history)",
        "_History({})",
        "tests/solvers/test_iterate.py tests/solvers/test_resume.py",
    ),
    Fault(
        "one finite metric is enough",
        "solvers/iterate.py",
        "not all(math.isfinite(v) for v in metrics.values())",
        "not any(math.isfinite(v) for v in metrics.values())",
        "tests/solvers/test_iterate.py",
    ),
    Fault(
        "the Fisher information of Student-t noise is that of its mode",
        "inverse/noise.py",
        "root = mask * np.sqrt((self.nu + 1) / (self.nu + 3)) / scale",
        "root = mask * np.sqrt((self.nu + 1) / self.nu) / scale",
        "tests/inverse/test_noise.py",
    ),
    Fault(
        "the inner product of complex arrays is not real-linear",
        "physics/spaces.py",
        "float(np.vdot(np.asarray(a[name], kind), np.asarray(b[name], kind)).real)",
        "float(np.abs(np.vdot(np.asarray(a[name], kind), np.asarray(b[name], kind))))",
        "tests/physics/test_spaces.py",
    ),
    Fault(
        "the dot test forgives an adjoint that is not a number",
        "physics/verify.py",
        "if defect > error or (np.isnan(defect) and not np.isnan(error)):",
        "if defect > error:",
        "tests/physics/test_verify.py",
    ),
    Fault(
        "a direction that nothing determines has a finite spread",
        "inverse/curvature.py",
        "    covariance[involved, involved] = np.inf\n",
        "",
        "tests/inverse/test_posterior.py",
    ),
    Fault(
        "a score stands in for the residual of Student-t noise",
        "inverse/noise.py",
        "return np.asarray(-np.sign(z) * ndtri(np.maximum(stats.t.sf(np.abs(z), self.nu), _LEAST)))",
        "return np.asarray(z)",
        "tests/inverse/test_noise.py",
    ),
    Fault(
        "a misfit is decided by its probability alone",
        "inverse/assessment.py",
        "above = reduced > REDUCED[1] and",
        "above = reduced > 0 and",
        "tests/inverse/test_assessment.py",
    ),
    Fault(
        "windows of one step: correlation does not widen",
        "inverse/sandwich.py",
        "window = int(np.clip(np.ceil(optimal.max()), 1, longest))",
        "window = 1",
        "tests/inverse/test_sandwich.py",
    ),
    Fault(
        "unknowns cost no degree of freedom",
        "inverse/diagnostics.py",
        "block.count - follows",
        "float(block.count)",
        "tests/inverse/test_diagnostics.py",
    ),
    Fault(
        "a signal ends one solve only",
        "solvers/iterate.py",
        "        raise Interrupted(seen[0], result)\n",
        "        pass\n",
        "tests/solvers/test_signals.py",
    ),
)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="words, separated by commas, of which a name or file holds one")
    parser.add_argument("--list", action="store_true", help="print the faults and end")
    given = parser.parse_args()
    words = given.only.split(",")
    chosen = [f for f in FAULTS if any(w in f"{f.name} {f.file}" for w in words)]
    unfit = [f for f in chosen if (ROOT / f.file).read_text().count(f.old) != 1]
    for fault in unfit:
        count = (ROOT / fault.file).read_text().count(fault.old)
        print(f"{fault.name}: {fault.file} holds the old text {count} times, not once: {fault.old!r}")
    if unfit:
        return 1
    if given.list:
        for fault in chosen:
            print(f"{fault.name}\n  {fault.file}\n  - {fault.old.strip()}\n  + {fault.new.strip()}\n  {fault.tests}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "shared"))
        tests = dict.fromkeys(t for f in chosen for t in f.tests.split())
        if failed := first_failure(tree, " ".join(tests)):
            print(f"the unchanged tree fails: {failed}")
            return 1
        missed = sum(not caught(tree, fault) for fault in chosen)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return int(missed > MAY_MISS)


def caught(tree: Path, fault: Fault) -> bool:
    """Plant a fault, run the tests, take it away, and print a line."""
    path, began = tree / fault.file, time.perf_counter()
    whole = path.read_text()
    path.write_text(whole.replace(fault.old, fault.new))
    try:
        failed = first_failure(tree, fault.tests)
    finally:
        path.write_text(whole)
    seconds = time.perf_counter() - began
    print(
        f"{fault.file:24} {fault.name:66} {seconds:5.0f} s  {f'caught by {failed}' if failed else 'MISSED'}", flush=True
    )
    return bool(failed)


def first_failure(tree: Path, tests: str) -> str:
    """Return the name of the first test that fails, empty if all pass."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *tests.split()], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0].partition("::")[2] if lines else f"exit code {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
