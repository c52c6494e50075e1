"""Runnable case studies, the command line, run folders, checks and reports."""

import os

# Before torch is loaded, from the command line and from Python alike. One thread unless the user says otherwise: the
# arrays of a case are small, and a sweep runs its members side by side. Where there are several, those that have
# nothing to do sleep: while they spin, as they would, they take the processor from the one that has.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
