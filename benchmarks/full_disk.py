"""Run folders on full, read-only and removed disks, with links in them, and with three writers at once.

    sudo python benchmarks/full_disk.py

Needs root on Linux: it mounts small tmpfs disks, in a mount namespace of its own that ends with the process. Every
command is a process of its own, `fit cooling` of the manual's example. A line of the table is good if there was no
traceback, the user's own file beside the run kept every byte, no line of the log is torn, and the run that was begun
again or resumed once there was space has the same bits as one that was never disturbed. Exit code 1 if a line is not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from retrodict.cases.record import vacant
from retrodict.solvers.result import load_dataset

ROOT = Path(__file__).resolve().parents[1]
SIZES = (4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 160, 256)
MINE = "what the user keeps beside the run\n" * 20

# The example, with two moments at which a test interferes: what is to be done stands in the environment.
PLUG_IN = """
import dataclasses, os, shutil, signal
import numpy as np
import retrodict_cooling as example

calls = 0

class Body(example.Body):
    def linearize(self, x):
        global calls
        calls += 1
        what, _, at = os.environ.get("DISTURB", ":0").partition(":")
        if calls == int(at):
            if what == "remove":
                shutil.rmtree("run")
            else:
                os.kill(os.getpid(), signal.Signals[what])
        return super().linearize(x)

def problem(config, seeds, data):
    from retrodict.inverse.terms import Misfit
    plain = example.problem(config, seeds, data)
    (term,) = plain.terms
    return dataclasses.replace(plain, terms=(dataclasses.replace(term, fn=Misfit(Body(), term.fn.observation)),))

case = dataclasses.replace(example.case, name="disturbed", problem=problem)
"""


def main() -> int:
    """Run the benchmark."""
    if os.geteuid() != 0:
        print("this benchmark mounts small disks: run it as root")
        return 2
    if os.environ.get("FULL_DISK_NAMESPACE") is None:
        os.environ["FULL_DISK_NAMESPACE"] = "own"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, __file__, *sys.argv[1:]])
    base = Path(tempfile.mkdtemp())
    try:
        return Bench(base).run()
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(base / "disk")], check=False, capture_output=True)
        shutil.rmtree(base, ignore_errors=True)


class Bench:
    """One folder with the plug-in, an undisturbed run to compare with, and a place to mount disks."""

    def __init__(self, base: Path) -> None:
        self.base, self.bad = base, 0
        info = base / "site" / "disturbed-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: disturbed\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text("[retrodict.cases]\ndisturbed = disturbed:case\n")
        (base / "site" / "disturbed.py").write_text(PLUG_IN)
        paths = [ROOT / "src", ROOT / "docs" / "examples" / "retrodict_cooling", base / "site"]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
        self.disk = base / "disk"
        self.disk.mkdir()
        self.whole = base / "whole"
        done = self.call("fit", "disturbed", "--out", str(self.whole), at=base)
        assert done.returncode == 0, done.stderr

    def call(self, *words: str, at: Path, disturb: str = ":0") -> subprocess.CompletedProcess[str]:
        """Run the command line in a folder."""
        return subprocess.run(
            [sys.executable, "-m", "retrodict", *words],
            cwd=at,
            env={**self.environment, "DISTURB": disturb},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def mount(self, *words: str) -> None:
        """Mount something at the place for disks."""
        subprocess.run(["mount", *words, str(self.disk)], check=True)

    def unmount(self) -> None:
        """Take it away again."""
        subprocess.run(["umount", "--lazy", str(self.disk)], check=True)

    def line(self, what: str, told: str, faults: list[str]) -> None:
        """Print a line of the table."""
        self.bad += bool(faults)
        print(f"{what:34} {told:78.78} {'good' if not faults else '; '.join(faults)}", flush=True)

    def run(self) -> int:
        """Print the table."""
        print(f"{'what':34} {'what the user was told':78} judgement")
        for size in SIZES:
            self.full(size)
        for size in (8, 32):
            self.full_on_resume(size)
        self.read_only()
        self.removed()
        self.links()
        self.three("fit", "disturbed", "--out", "run")
        self.three("resume", "run")
        print(f"{self.bad} lines are not good" if self.bad else "all good")
        return int(self.bad > 0)

    def full(self, size: int) -> None:
        """Fit on a disk of so many KiB, give it space, and go on."""
        self.mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs")
        (self.disk / "mine").write_text(MINE)
        done = self.call("fit", "disturbed", "--out", "run", at=self.disk)
        faults = self.spoken(done)
        run = self.disk / "run"
        state = "no folder" if not run.exists() else "empty" if vacant(run) else status(run)
        if (done.returncode == 0) != (state == "ok"):
            faults.append(f"exit code {done.returncode} and status {state}")
        if state == "running" and "status 'failed' could not be written" not in done.stderr:
            faults.append("left running without a word")
        faults += self.kept() + torn(run)
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.disk)], check=True)
        faults += self.go_on(begin=state in ("no folder", "empty"))
        self.line(f"full at {size} KiB: {state}", first(done), faults)
        self.unmount()

    def full_on_resume(self, left: int) -> None:
        """Resume a stopped fit on a disk with so many KiB left, then with space."""
        self.mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
        (self.disk / "mine").write_text(MINE)
        self.call("fit", "disturbed", "--out", "run", at=self.disk, disturb="SIGKILL:4")
        used = shutil.disk_usage(self.disk).used // 1024
        subprocess.run(["mount", "-o", f"remount,size={used + left}k", str(self.disk)], check=True)
        done = self.call("resume", "run", at=self.disk)
        state = status(self.disk / "run")
        faults = self.spoken(done) + self.kept() + torn(self.disk / "run")
        if done.returncode == 0:
            faults.append("there was no space, and exit code 0")
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.disk)], check=True)
        faults += self.go_on(begin=False)
        self.line(f"resumed with {left} KiB left: {state}", first(done), faults)
        self.unmount()

    def read_only(self) -> None:
        """Look at a finished run on a disk that may only be read."""
        place = self.base / "fixed"
        place.mkdir()
        shutil.copytree(self.whole, place / "run")
        before = content(place)
        self.mount("--bind", str(place))
        subprocess.run(["mount", "-o", "remount,bind,ro", str(self.disk)], check=True)
        page = self.base / "page.html"
        for words, code in (
            (("compare", "run", str(self.whole)), 0),
            (("report", "run"), 1),
            (("report", "run", "--out", str(page)), 0),
            (("resume", "run"), 1),
            (("fit", "disturbed", "--out", "new"), 2),
        ):
            done = self.call(*words, at=self.disk)
            faults = self.spoken(done)
            if done.returncode != code:
                faults.append(f"exit code {done.returncode}, not {code}")
            if content(place) != before:
                faults.append("the folder has changed")
            self.line(f"read-only: {words[0]}{' --out' if '--out' in words else ''}", first(done), faults)
        if page.read_text() != (place / "run" / "report.html").read_text():
            self.line("read-only: report --out", "", ["another report than the folder's"])
        self.unmount()

    def removed(self) -> None:
        """Remove the folder while a fit works in it."""
        self.mount("-t", "tmpfs", "tmpfs")
        (self.disk / "mine").write_text(MINE)
        done = self.call("fit", "disturbed", "--out", "run", at=self.disk, disturb="remove:3")
        faults = self.spoken(done) + self.kept()
        if done.returncode != 1:
            faults.append(f"exit code {done.returncode}")
        if (self.disk / "run").exists():
            faults.append("the folder was made again")
        self.line("folder removed while running", first(done), faults + self.go_on(begin=True))
        self.unmount()

    def links(self) -> None:
        """Put a link in the place of every name, and open the folder by every verb."""
        for kind in ("symbolic", "hard"):
            names = (".lock", "log.jsonl", "provenance.json", "config.toml", "report.html", "figures/captions.json")
            for name in (*names, *(("checkpoints", "figures") if kind == "symbolic" else ())):
                self.mount("-t", "tmpfs", "tmpfs")
                self.call("fit", "disturbed", "--out", "run", at=self.disk, disturb="SIGINT:4")
                target, path = self.disk / "mine", self.disk / "run" / name
                if path.is_dir():
                    path.rename(target)
                else:
                    target.write_bytes(path.read_bytes() if path.exists() else MINE.encode())
                    path.unlink(missing_ok=True)
                path.symlink_to(target) if kind == "symbolic" else path.hardlink_to(target)
                before, faults, told = content(target), [], ""
                for words in (("report", "run"), ("compare", "run", str(self.whole)), ("resume", "run")):
                    done = self.call(*words, at=self.disk)
                    faults += self.spoken(done)
                    told = told or first(done)
                    if kind == "symbolic" and done.returncode != 3:
                        faults.append(f"{words[0]}: exit code {done.returncode}")
                if content(target) != before:
                    faults.append("what the link leads to has changed")
                self.line(f"{kind} link: {name}", told, faults)
                self.unmount()

    def three(self, *words: str) -> None:
        """Let three processes do the same in one folder."""
        self.mount("-t", "tmpfs", "tmpfs")
        (self.disk / "mine").write_text(MINE)
        if words[0] == "resume":
            self.call("fit", "disturbed", "--out", "run", at=self.disk, disturb="SIGKILL:4")
        command = [sys.executable, "-m", "retrodict", *words]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(command, cwd=self.disk, env=self.environment, **streams) for _ in range(3)]
        ended = [p.communicate(timeout=300) for p in started]
        codes = sorted(p.returncode for p in started)
        faults = self.kept() + torn(self.disk / "run")
        faults += ["a traceback" for _, err in ended if "Traceback" in err]
        if codes[0] != 0 or not set(codes) <= {0, 2}:
            faults.append(f"exit codes {codes}")
        if words[0] == "fit" and codes != [0, 2, 2]:
            faults.append(f"exit codes {codes}")
        faults += self.equal()
        told = next((err.strip() for p, (_, err) in zip(started, ended, strict=True) if p.returncode), "")
        self.line(f"three at once: {words[0]} {codes}", told, faults)
        self.unmount()

    def spoken(self, done: subprocess.CompletedProcess[str]) -> list[str]:
        """Return what is wrong with how a command ended."""
        faults = ["a traceback"] if "Traceback" in done.stderr else []
        return faults + (["more than four lines"] if len(done.stderr.splitlines()) > 4 else [])

    def kept(self) -> list[str]:
        """Return whether the user's own file has changed."""
        return [] if (self.disk / "mine").read_text() == MINE else ["the user's own file has changed"]

    def go_on(self, begin: bool) -> list[str]:
        """Begin again or resume, and compare with the undisturbed run."""
        words = ("fit", "disturbed", "--out", "run") if begin else ("resume", "run")
        done = self.call(*words, at=self.disk)
        if done.returncode != 0:
            return [f"{words[0]} afterwards: exit code {done.returncode}: {done.stderr.strip()[-200:]}"]
        return self.equal() + [f"left over: {p.name}" for p in (self.disk / "run").rglob("*.part")]

    def equal(self) -> list[str]:
        """Return in what the run differs from the undisturbed one."""
        faults = []
        for name in ("result.nc", "history.nc", "posterior.nc", "diagnostics.nc"):
            ours, theirs = load_dataset(self.disk / "run" / name), load_dataset(self.whole / name)
            for key, values in theirs.variables.items():
                if values.dtype.kind in "iufb" and ours[key].values.tobytes() != values.values.tobytes():
                    faults.append(f"{name} {key} is not bit-equal")
        return faults


def first(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first line of what was told."""
    return (done.stderr.strip() or done.stdout.strip()).partition("\n")[0]


def status(run: Path) -> str:
    """Return the status that a folder tells."""
    return str(json.loads((run / "provenance.json").read_text())["status"])


def torn(run: Path) -> list[str]:
    """Return whether a line of the log is not whole."""
    path = run / "log.jsonl"
    try:
        for line in path.read_text().splitlines() if path.exists() else ():
            json.loads(line)
    except ValueError:
        return ["a torn line in the log"]
    return []


def content(path: Path) -> dict[str, bytes]:
    """Return every byte of a file or folder."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p): p.read_bytes() for p in files}


if __name__ == "__main__":
    sys.exit(main())
