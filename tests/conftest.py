"""One thread, set before torch is imported: the arrays of the tests are small, and CI runs beside other work."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
