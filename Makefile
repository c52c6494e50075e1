# Two commands do everything on a machine with Python 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
DEMO_OUT ?= runs/demo
export OMP_NUM_THREADS ?= 1
# processes of a test run; each computes on one thread
JOBS ?= 2

.PHONY: demo test fast check clean

demo: $(STAMP)
	rm -rf $(DEMO_OUT)
	$(BIN)/retrodict demo --preset smoke --out $(DEMO_OUT)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS)

fast: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

# what CI adds to the tests: lint, types, layers, and the examples of every docstring
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=src $(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(JOBS) --doctest-modules --pyargs retrodict

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist runs src/*.egg-info
