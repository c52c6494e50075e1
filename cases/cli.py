"""The command line. Nothing heavy is imported before a verb needs it: ``--help`` and ``list`` answer at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from retrodict.cases.signals import terminable
from retrodict.physics.errors import CheckpointError, ConfigError, DataError, RetrodictError, reason

__all__ = ["DAMAGED", "FAILED", "INTERRUPTED", "OK", "USAGE", "app", "main"]

OK, FAILED, USAGE, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done; a check or a solve failed; bad usage or settings; damaged data; stopped by a signal."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error.

    Examples
    --------
    >>> exit_code(DataError("truncated"))
    3
    """
    if isinstance(error, (DataError, CheckpointError)):
        return DAMAGED
    return USAGE if isinstance(error, ConfigError) else FAILED


class _Group(TyperGroup):
    """The one place where errors become messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with terminable():
                return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has enough; click ends in silence
            raise
        except (RetrodictError, OSError, MemoryError, RecursionError) as error:
            _tell(f"error: {reason(error)}", error, "bold red")
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt as error:
            _tell(str(error) or "stopped by a signal", error, "yellow")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="retrodict",
    cls=_Group,
    help="Simulate the physics, infer the causes, check both against a reference solver.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CaseName = Annotated[str, typer.Argument(metavar="CASE", help="Name of a case; see `retrodict list`.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]
Preset = Annotated[str, typer.Option("--preset", help="smoke (seconds), default, or paper (published numbers).")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; repeatable.")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; above the preset.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New or empty folder for the run.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Root of all random streams.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda or cuda:N.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="FILE", help="Your observations.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 where the data contradict the model.")]


@app.command("list")
def list_command(
    case: Annotated[str | None, typer.Argument(metavar="[CASE]", help="Show the settings of one case.")] = None,
) -> None:
    """List the cases, or the settings of one case."""
    from retrodict.cases import show

    if case is None:
        show.cases(_stdout(), _stderr())
    else:
        show.settings(_stdout(), case)


@app.command("run")
def run_command(
    case: CaseName,
    preset: Preset = "default",
    set_: Set = None,
    config: Config = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = None,
) -> None:
    """Simulate a case and report it."""
    from retrodict.cases import show
    from retrodict.cases.config import parse_assignments
    from retrodict.cases.run import run

    settings = parse_assignments(set_ or [])
    outcome = run(case, preset=preset, settings=settings, config=config, out=out, seed=seed, device=device)
    raise typer.Exit(show.outcome(_stdout(), _stderr(), outcome))


@app.command("fit")
def fit_command(
    case: CaseName,
    data: Data = None,
    preset: Preset = "default",
    set_: Set = None,
    config: Config = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = None,
    strict: Strict = False,
) -> None:
    """Infer the unknowns of a case, with uncertainty."""
    from retrodict.cases import show
    from retrodict.cases.config import parse_assignments
    from retrodict.cases.fit import fit

    settings = parse_assignments(set_ or [])
    outcome = fit(case, data=data, preset=preset, settings=settings, config=config, out=out, seed=seed, device=device)
    raise typer.Exit(show.outcome(_stdout(), _stderr(), outcome, strict=strict))


@app.command("validate")
def validate_command(
    case: Annotated[str | None, typer.Argument(metavar="[CASE]", help="Name of a case.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every case.")] = False,
    preset: Preset = "default",
    set_: Set = None,
    config: Config = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = None,
) -> None:
    """Hold a case against its references."""
    from retrodict.cases import show
    from retrodict.cases.config import parse_assignments
    from retrodict.cases.demo import validate_all
    from retrodict.cases.validate import validate

    if (case is None) != every:
        raise ConfigError("validate: name one CASE, or give --all")
    settings = parse_assignments(set_ or [])
    if case is None:
        if settings or config is not None:
            raise ConfigError("validate --all: --set and --config belong to one case; name it")
        table = validate_all(preset=preset, out=out, seed=seed, device=device)
        raise typer.Exit(show.table(_stdout(), _stderr(), table))
    outcome = validate(case, preset=preset, settings=settings, config=config, out=out, seed=seed, device=device)
    raise typer.Exit(show.outcome(_stdout(), _stderr(), outcome))


@app.command("resume")
def resume_command(folder: Folder, strict: Strict = False) -> None:
    """Go on with a run that was stopped, as if it had never been."""
    from retrodict.cases import show
    from retrodict.cases.resume import resume

    outcome = resume(folder)
    if outcome is None:
        _stdout().print(f"{folder}: the run had come to its end; nothing to do", markup=False)
        raise typer.Exit(show.ended(_stdout(), folder, strict=strict))
    raise typer.Exit(show.outcome(_stdout(), _stderr(), outcome, strict=strict))


@app.command("report")
def report_command(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="New file; DIR is left as it is.")] = None,
) -> None:
    """Rebuild the HTML report of a run."""
    from retrodict.cases.report import report

    path, notes = report(folder, out)
    for note in notes:
        _stderr().print(f"warning: {note}", style="yellow", markup=False, highlight=False)
    _stdout().print(str(path), markup=False, highlight=False, soft_wrap=True)


@app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(metavar="DIR")],
    second: Annotated[Path, typer.Argument(metavar="DIR")],
    rtol: Annotated[float, typer.Option("--rtol", help="Largest relative difference that counts as equal.")] = 0.0,
) -> None:
    """Compare settings, status, numbers, verdicts and timings of two runs; exit 1 if they differ."""
    from retrodict.cases import show
    from retrodict.cases.compare import compare

    raise typer.Exit(show.comparison(_stdout(), compare(first, second, rtol=rtol)))


@app.command("sweep")
def sweep_command(
    case: CaseName,
    grid: Annotated[list[str] | None, typer.Option("--grid", metavar="KEY=V1,V2", help="Repeatable.")] = None,
    verb: Annotated[str, typer.Option("--verb", help="run, fit or validate; default fit where there is one.")] = "",
    data: Data = None,
    preset: Preset = "default",
    set_: Set = None,
    config: Config = None,
    out: Out = None,
    seed: Seed = None,
    device: Device = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes of this machine.")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A dask cluster.")] = None,
    strict: Strict = False,
) -> None:
    """Run a case over a grid of settings; run it again to go on where it stopped."""
    from retrodict.cases import show
    from retrodict.cases.config import parse_assignments
    from retrodict.cases.sweep import parse_grid, sweep

    table = sweep(
        case,
        parse_grid(grid or []),
        verb=verb,
        data=data,
        preset=preset,
        settings=parse_assignments(set_ or []),
        config=config,
        out=out,
        seed=seed,
        device=device,
        workers=workers,
        scheduler=scheduler,
    )
    raise typer.Exit(show.table(_stdout(), _stderr(), table, strict=strict))


@app.command("demo")
def demo_command(out: Out = None, preset: Preset = "smoke", strict: Strict = False) -> None:
    """Run, fit and validate every case, and link the reports on one page."""
    from retrodict.cases import show
    from retrodict.cases.demo import demo

    raise typer.Exit(show.table(_stdout(), _stderr(), demo(out=out, preset=preset), strict=strict))


@app.command("doctor")
def doctor_command() -> None:
    """Examine this installation."""
    from retrodict.cases import show
    from retrodict.cases.doctor import doctor

    raise typer.Exit(show.findings(_stdout(), doctor()))


def main() -> None:
    """Entry point of ``retrodict`` and ``python -m retrodict``."""
    app(prog_name="retrodict")


def _tell(text: str, error: BaseException, style: str) -> None:
    """Print what ended a verb, and what was noted on it: a folder that could not be told how it ended."""
    for line in (text, *getattr(error, "__notes__", ())):
        _stderr().print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _stdout() -> Console:
    return Console()


def _stderr() -> Console:
    return Console(stderr=True)
