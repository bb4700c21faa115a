# `make demo` and `make test` are all a fresh machine needs: each sets up .venv first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-oldest lint bench surface lock release faults fuzz clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole chain on a data set that a package ships (about 3 minutes)"
	@echo "make test    the tests"
	@echo "make test-oldest  the tests with the oldest packages that pyproject.toml admits (an environment of its own)"
	@echo "make lint    ruff, mypy --strict, import-linter"
	@echo "make bench   timed comparisons"
	@echo "make surface after a change to a command's options: writes what help and completion go by"
	@echo "make lock    writes constraints.txt: the versions in .venv, with which the tests pass"
	@echo "make release the wheel, installed into an empty environment, where it runs the demo"
	@echo "make faults  each stage killed, interrupted and on a full disk, at every fifth moment (an hour)"
	@echo "make fuzz    10,000 spoilt files to each reader (about two hours; --only, --cases: python -m benchmarks.fuzz)"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[demo,dev]"
	@touch $@

demo: $(READY)
	$(BIN)/alrctl demo

TESTS := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python $(TESTS)

test-oldest:
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --upgrade pip uv
	VIRTUAL_ENV=$(VENV)-oldest $(VENV)-oldest/bin/uv pip install --quiet --resolution lowest-direct --editable ".[demo,dev]"
	OMP_NUM_THREADS=1 $(VENV)-oldest/bin/python $(TESTS) -W default::DeprecationWarning # of old packages over newer ones

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

surface: $(READY)
	$(BIN)/python -m alrctl.surface

lock: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable | grep -v @ > constraints.txt

release: $(READY)
	rm -rf dist $(VENV)-release
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv $(VENV)-release
	$(VENV)-release/bin/python -m pip install --quiet "$$(ls dist/*.whl)[demo]"
	cd dist && $(abspath $(VENV)-release)/bin/alrctl demo

faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/every_fault.py --every 5

fuzz: $(READY)
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m benchmarks.fuzz

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-release alrctl-demo dist
