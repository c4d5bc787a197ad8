# Every target installs what it needs into .venv first; when nothing changed that costs nothing.
# With uv where it is there, with pip where it is not.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
VENV := .venv
BIN := $(VENV)/bin
# Tests wait more than they compute, and two Kafka brokers want their share of two cores.
TEST_WORKERS ?= 2
FAST := not broker and not postgres and not airflow and not chaos and not slow

define install
	$(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1),$(BIN)/python -m pip install --quiet --require-hashes -r $(1))
	$(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .,$(BIN)/python -m pip install --quiet --no-deps --editable .)
	$(BIN)/python -m compileall -q project
endef

.PHONY: help setup demo demo-airflow test check check-static check-types check-fast format bench chaos docs coverage lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*  ## ' Makefile | sed -E 's/^([a-z-]+):.*  ## (.*)/\1\t\2/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(if $(UV),$(UV) venv --quiet --python $$(command -v $(PYTHON)) $(VENV),$(PYTHON) -m venv $(VENV) || { echo "no venv module: apt-get install python3-venv, or install uv" >&2; exit 1; })

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing what the service and the demo need into $(VENV)" >&2
	@$(call install,requirements/run.txt)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing what development and tests need into $(VENV)" >&2
	@$(call install,requirements/dev.txt)
	@touch $@ $(VENV)/.run

setup: $(VENV)/.dev  ## everything for development, into .venv

demo: $(VENV)/.run  ## broker, service and a batch of real analyses, live on the screen
	@$(BIN)/langgraph-kafka demo

demo-airflow:  ## the same from an Airflow DAG
	@test -x scripts/demo-airflow || { echo "demo-airflow is not part of the project yet: scripts/demo-airflow is missing" >&2; exit 1; }
	@scripts/demo-airflow

test: $(VENV)/.dev  ## all tests, on every broker and database this machine has; says what it left out
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not chaos" $(ARGS)

check: $(VENV)/.dev  ## what to run before a commit: lint, types, import rules, fast tests (under a minute)
	@$(MAKE) -j2 --keep-going --output-sync=target check-types check-static check-fast

check-static: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "some files are not formatted: make format" >&2; exit 1; }
	@$(BIN)/lint-imports --no-logo
	@echo "lint, format and import rules: good"

check-types: $(VENV)/.dev
	@$(BIN)/mypy

check-fast: $(VENV)/.dev
	@$(BIN)/python -m pytest --quiet -m "$(FAST)" $(ARGS)

format: $(VENV)/.dev  ## format all files and mend what ruff can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

coverage: $(VENV)/.dev  ## all tests with line coverage
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not chaos" --cov --cov-report=term:skip-covered $(ARGS)

bench: $(VENV)/.dev  ## the benchmarks, their figures against the kept ones
	@test -d benchmarks || { echo "the benchmarks are not part of the project yet: benchmarks/ is missing" >&2; exit 1; }
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: $(VENV)/.dev  ## kill, pause and restart everything, then count: no event without its verdict
	@test -d project/tests/chaos || { echo "the chaos tests are not part of the project yet: project/tests/chaos/ is missing" >&2; exit 1; }
	@$(BIN)/python -m pytest project/tests/chaos -m chaos -v --timeout=600 $(ARGS)

docs: $(VENV)/.dev  ## check that the documents are in step with the code: schemas, links, listings
	@test -d project/tests/docs || { echo "the checks of the documents are not part of the project yet: project/tests/docs/ is missing" >&2; exit 1; }
	@$(BIN)/python -m pytest --quiet project/tests/docs $(ARGS)

# Universal: one file for Python 3.11 to 3.13 on every system. Plain name==version with hashes, no index named.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" pyproject.toml
lock:  ## write requirements/*.txt anew from pyproject.toml (needs uv); UPGRADE=--upgrade takes newer versions
	@command -v uv >/dev/null || { echo "the lock is written by uv: pip install uv" >&2; exit 1; }
	@$(LOCK) $(UPGRADE) --extra postgres --extra dev-broker --group dev -o requirements/dev.txt
	@$(LOCK) $(UPGRADE) --extra postgres --extra dev-broker -c requirements/dev.txt -o requirements/run.txt

clean:  ## remove .venv and all caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov build dist
	@find project -name __pycache__ -type d -prune -exec rm -rf {} +
