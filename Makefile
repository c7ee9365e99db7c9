# `make backtest` and `make test` do all the set-up: they need Python >= 3.11 and make, nothing else.
# A hook for CI and for developers: `make check` runs the gates one by one without the wheel.

PYTHON ?= python3
BIN := .venv/bin
EXTRAS := torch,sb3,tune,report,tasks,atari,yahoo,ray,dask

.PHONY: backtest test check wheel venv clean

backtest: venv
	$(BIN)/python -m backtests.run

test: check wheel

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

wheel: venv
	$(BIN)/python tests/wheel.py

venv: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "etfgym needs Python 3.11 or newer; say which one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up .venv; this downloads packages once and takes a few minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/pip install --constraint constraints.txt --editable ".[$(EXTRAS)]" --group dev
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
