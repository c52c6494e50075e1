"""DeepXDE keeps backend, precision, seeds and options in process globals: set for a while, and put back."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import random
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch

from retrodict.physics.errors import SolverError, expected

__all__ = ["Precision", "load", "session"]

Precision = Literal["float32", "float64"]
_LOCK = threading.RLock()


def load() -> Any:
    """Return the library with its PyTorch backend.

    Returns
    -------
    module
        ``deepxde``; the environment and torch's default device are as before.

    Raises
    ------
    SolverError
        If it was imported before with another backend.

    Examples
    --------
    >>> load().backend.backend_name
    'pytorch'
    """
    with _LOCK:
        if "deepxde" not in sys.modules:
            _import()
        library: Any = importlib.import_module("deepxde")
    if (backend := library.backend.backend_name) != "pytorch":
        raise SolverError(expected("DeepXDE", f"the backend {backend!r}, imported before", "'pytorch'"))
    return library


def _import() -> None:
    before, device = os.environ.get("DDE_BACKEND"), torch.get_default_device()
    os.environ["DDE_BACKEND"] = "pytorch"
    try:
        # it greets on both streams; exceptions pass
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module("deepxde")
    finally:
        if before is None:
            del os.environ["DDE_BACKEND"]
        else:
            os.environ["DDE_BACKEND"] = before
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)


@contextlib.contextmanager
def session(
    precision: Precision, *, device: str = "cpu", seed: int | None = None, nncg: Mapping[str, Any] | None = None
) -> Iterator[Any]:
    """Set DeepXDE's globals, yield the library, and put everything back: precision, seeds, options, caches.

    Parameters
    ----------
    precision : {"float32", "float64"}
        Of everything made inside.
    device : str, optional
        Where to compute.
    seed : int, optional
        Seeds Python's, NumPy's and torch's generators, all of which it draws from.
    nncg : Mapping, optional
        Options of its Newton-CG.

    Yields
    ------
    module
        ``deepxde``.

    Examples
    --------
    >>> with session("float64", seed=1) as dde:
    ...     inside = dde.config.default_float()
    >>> inside, dde.config.default_float()
    ('float64', 'float32')
    """
    dde = load()
    with _LOCK, contextlib.ExitStack() as stack:
        # what it prints it never needs an answer to; what goes wrong it raises
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.callback(dde.gradients.clear)
        _keep_precision(stack, dde)
        _keep_generators(stack, dde)
        if torch.device(device) != torch.get_default_device():
            stack.enter_context(torch.device(device))
        dde.config.set_default_float(precision)
        if seed is not None:
            dde.config.set_random_seed(seed)
        if nncg:
            stack.enter_context(_options(dde.optimizers.config.NNCG_options, nncg))
        yield dde


def _keep_precision(stack: contextlib.ExitStack, dde: Any) -> None:
    real, config = dde.config.real, dde.config
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    stack.callback(getattr(real, f"set_float{real.precision}"))
    for name in ("mixed", "autodiff"):
        stack.callback(setattr, config, name, getattr(config, name))
    config.mixed, config.autodiff = False, "reverse"


def _keep_generators(stack: contextlib.ExitStack, dde: Any) -> None:
    stack.callback(setattr, dde.config, "random_seed", dde.config.random_seed)
    stack.callback(random.setstate, random.getstate())
    stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 - the generator that it draws from
    stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))


@contextlib.contextmanager
def _options(table: dict[str, Any], new: Mapping[str, Any]) -> Iterator[None]:
    before = dict(table)
    table.update(new)
    try:
        yield
    finally:
        table.update(before)
