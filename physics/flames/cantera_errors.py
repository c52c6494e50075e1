"""What Cantera says when it rejects something, fit for a message of one line."""

from __future__ import annotations

import re

__all__ = ["reason"]


def reason(error: Exception) -> str:
    """Return what Cantera says, on one line; of its excerpt of the file the line at fault and whose it is.

    Parameters
    ----------
    error : cantera.CanteraError
        What was raised.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> said = ["Error on line 8:", "|  Line |", "|     7 | - equation: A => B", ">     8 >   rate-constant: x"]
    >>> reason(ValueError(chr(10).join(said)))
    "Error on line 8: (in '- equation: A => B': 'rate-constant: x')"
    """
    said, _, excerpt = str(error).partition("|  Line |")
    parts, owner = said.replace("*", " ").split(), ""
    for mark, line in re.findall(r"^([|>])\s+\d+ [|>] (.*)$", excerpt, re.MULTILINE):
        line_said, begins = line.strip(), re.match(r"\s*- (equation|name):", line)
        if mark == ">":
            where = f"in '{owner}': " if owner and not begins else ""
            parts.append(f"({where}'{line_said}')" if line_said else "")
            break
        owner = line_said if begins else owner
    return " ".join(part for part in parts if part)
