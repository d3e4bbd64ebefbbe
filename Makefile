# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set everything up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# As a variable, the constraints hold for the build backend, too, which pip installs apart.
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test bench nightly setup check docs ui clean help

help:
	@echo "make demo   set up, sync five sandbox accounts, answer questions about them"
	@echo "make test   set up, run the tests"
	@echo "make nightly  random sequences by the hundred, every test and every case of it"
	@echo "make bench  orderloom, dlt, pandas and a hand-written limit side by side: ten minutes"
	@echo "make ui     open the Dagster UI on the runs in ./var"
	@echo "make docs   write docs/marts.md, the data dictionary, anew"
	@echo "make check  ruff, mypy, definitions, tests: what .ci/run runs"
	@echo "make clean  remove .venv, .venv-bench and ./var"

demo: $(VENV)/.installed
	@$(BIN)/orderloom demo

test: $(VENV)/.installed-dev
	@$(BIN)/pytest

nightly: $(VENV)/.installed-dev
	@$(BIN)/pytest tests/test_sequences.py --hypothesis-profile=nightly -rP
	@ORDERLOOM_NIGHTLY=1 $(BIN)/pytest --ignore=tests/test_sequences.py

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.compare $(BENCH)

docs: $(VENV)/.installed
	@$(BIN)/python -m assets.dictionary

setup: $(VENV)/.installed

ui: $(VENV)/.installed
	@$(BIN)/orderloom ui

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/pytest

clean:
	rm -rf $(VENV) .venv-bench var

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "orderloom needs Python 3.11, 3.12 or 3.13: make demo PYTHON=python3.11"; exit 2; }
	@echo "Installing into $(VENV): about a minute, 1 GB."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) -e '.[dev,spark]'
	@touch $@
