# `make demo` and `make test` are all a fresh machine needs: each sets up .venv first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint bench surface faults fuzz clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole chain on a data set that a package ships (about 3 minutes)"
	@echo "make test    the tests"
	@echo "make lint    ruff, mypy --strict, import-linter"
	@echo "make bench   timed comparisons"
	@echo "make surface after a change to a command's options: writes what help and completion go by"
	@echo "make faults  each stage killed, interrupted and on a full disk, at every fifth moment (an hour)"
	@echo "make fuzz    10,000 spoilt files to each reader (about two hours; --only, --cases: python -m benchmarks.fuzz)"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[demo,dev]"
	@touch $@

demo: $(READY)
	$(BIN)/alrctl demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

surface: $(READY)
	$(BIN)/python -m alrctl.surface

faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/every_fault.py --every 5

fuzz: $(READY)
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m benchmarks.fuzz

clean:
	rm -rf $(VENV) alrctl-demo
