"""The verbs of the command line as Python functions, in one place."""

from retrodict.cases.compare import compare
from retrodict.cases.demo import demo, validate_all
from retrodict.cases.doctor import doctor
from retrodict.cases.fit import fit
from retrodict.cases.report import report
from retrodict.cases.resume import resume
from retrodict.cases.run import run
from retrodict.cases.sweep import sweep
from retrodict.cases.validate import validate

__all__ = ["compare", "demo", "doctor", "fit", "report", "resume", "run", "sweep", "validate", "validate_all"]
