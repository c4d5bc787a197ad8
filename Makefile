# Every target installs what it needs into .venv first; when nothing changed that costs nothing.
# With uv where it is there, with pip where it is not.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Without bytecode on disk every test worker and every service it starts compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
VENV := .venv
BIN := $(VENV)/bin
# Tests wait more than they compute: six workers keep two cores busy.
TEST_WORKERS ?= 6
FAST := not broker and not postgres and not airflow and not chaos and not faults and not slow

# A .venv that uv has made has no pip of its own.
WITH_PIP = $(if $(UV),true,$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(1)/bin/python -m ensurepip --default-pip >/dev/null 2>&1 \
	|| { echo "no pip in $(1): put uv on the PATH, or 'make clean' and begin anew" >&2; exit 1; })

define install
	$(call WITH_PIP,$(VENV))
	@$(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1),$(BIN)/python -m pip install --quiet --require-hashes -r $(1))
	@$(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .,$(BIN)/python -m pip install --quiet --no-deps --editable .)
	@$(BIN)/python -m compileall -q project
endef

# Airflow pins much of what it stands on, so each version has an environment of its own, ours installed in it.
AIRFLOW3 := .venv-airflow
AIRFLOW2 := .venv-airflow2
WITH_AIRFLOW = $(and $(wildcard $(AIRFLOW3)/.ready),$(wildcard $(AIRFLOW2)/.ready))
define install_airflow
	@echo "installing $(1) and this project into $(2)" >&2
	@test -x $(2)/bin/python || $(if $(UV),$(UV) venv --quiet --python $$(command -v $(PYTHON)) $(2),$(PYTHON) -m venv $(2))
	@$(call WITH_PIP,$(2))
	@$(if $(UV),$(UV) pip install --quiet --python $(2)/bin/python --compile-bytecode -r $(1),$(2)/bin/python -m pip install --quiet -r $(1))
	@$(if $(UV),$(UV) pip install --quiet --python $(2)/bin/python --no-deps --editable .,$(2)/bin/python -m pip install --quiet --no-deps --editable .)
	@$(if $(UV),$(UV) pip check --quiet --python $(2)/bin/python,$(2)/bin/python -m pip check)
	@touch $(2)/.ready
endef

.PHONY: help setup airflow demo demo-airflow test test-airflow test-in-airflow test-running-airflow check-airflow check check-static check-types check-fast format bench bench-full chaos chaos-long faults docs coverage lock clean

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

$(AIRFLOW3)/.ready: requirements/airflow3.txt pyproject.toml
	$(call install_airflow,requirements/airflow3.txt,$(AIRFLOW3))

$(AIRFLOW2)/.ready: requirements/airflow2.txt pyproject.toml
	$(call install_airflow,requirements/airflow2.txt,$(AIRFLOW2))

airflow: $(AIRFLOW3)/.ready $(AIRFLOW2)/.ready  ## Airflow 3.3 and 2.11, each in an environment of its own

demo: $(VENV)/.run  ## broker, service and a batch of real analyses, live on the screen
	@$(BIN)/langgraph-kafka demo

demo-airflow: $(VENV)/.dev $(AIRFLOW3)/.ready  ## the whole chain from an Airflow DAG, with Airflow's page to look at
	@$(BIN)/python scripts/demo_airflow.py $(ARGS)

test: $(VENV)/.dev  ## the tests, on every broker and database this machine has; says what it left out
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not chaos and not faults and not airflow" $(ARGS)
	@$(if $(WITH_AIRFLOW),$(MAKE) test-airflow,echo "LEFT OUT: all tests with Airflow; 'make airflow test-airflow' runs them" >&2)
	@echo "LEFT OUT: what takes minutes of kills and outages; 'make chaos' and 'make faults' run it" >&2

check-airflow: $(AIRFLOW3)/.ready  ## the types of what stands on Airflow, with Airflow's own
	@$(AIRFLOW3)/bin/python -m mypy --cache-dir .mypy_cache/airflow project/airflow_integration project/dags

# One process: an Airflow is enough for a machine. Inside Airflow its own warnings are its own business.
test-airflow: test-in-airflow test-running-airflow  ## the tests that need Airflow: inside 3.3 and 2.11, and in a running one

test-in-airflow: $(VENV)/.dev airflow check-airflow
	@$(AIRFLOW3)/bin/python -m pytest -W default project/tests/airflow_integration/in_airflow $(ARGS)
	@$(AIRFLOW2)/bin/python -m pytest -W default project/tests/airflow_integration/in_airflow $(ARGS)

test-running-airflow: $(VENV)/.dev airflow
	@$(BIN)/python -m pytest -m airflow $(ARGS)

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
	@$(BIN)/python -m pytest --quiet -n 3 --hypothesis-profile=quick -m "$(FAST)" $(ARGS)

format: $(VENV)/.dev  ## format all files and mend what ruff can
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

coverage: $(VENV)/.dev  ## all tests with line coverage
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "not chaos and not faults and not airflow" --cov --cov-report=term:skip-covered $(ARGS)
	@$(BIN)/python -m coverage report --include='project/langgraph_integration/*,project/workflow_events/*' --fail-under=95 | tail -1

BENCH_VENV := .venv-bench
$(BENCH_VENV)/.ready: requirements/bench.txt | $(BIN)/python
	@echo "installing what the service is compared with into $(BENCH_VENV)" >&2
	@test -x $(BENCH_VENV)/bin/python || $(if $(UV),$(UV) venv --quiet --python $(BIN)/python $(BENCH_VENV),$(BIN)/python -m venv $(BENCH_VENV))
	@$(call WITH_PIP,$(BENCH_VENV))
	@$(if $(UV),$(UV) pip install --quiet --python $(BENCH_VENV)/bin/python --compile-bytecode --require-hashes -r $<,$(BENCH_VENV)/bin/python -m pip install --quiet --require-hashes -r $<)
	@touch $@

bench: $(VENV)/.dev $(BENCH_VENV)/.ready  ## beside bare LangGraph and peers: ratios, docs/benchmarks.md (minutes)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: $(VENV)/.dev $(BENCH_VENV)/.ready  ## the same with seven repetitions and the long workloads
	@$(BIN)/python -m benchmarks --full $(ARGS)

chaos: $(VENV)/.dev  ## kill, pause and restart everything, then count: no event without its verdict
	@$(BIN)/python -m pytest project/tests/chaos -m chaos -v --timeout=600 $(ARGS)

faults: $(VENV)/.dev  ## each row of the fault table on Apache Kafka, and each guard proved by its removal
	@$(BIN)/python -m pytest project/tests/faults -m faults $(ARGS)

chaos-long: $(VENV)/.dev  ## the same until a thousand were killed: both databases, one broker and three
	@$(BIN)/python -m tests.chaos.long $(ARGS)

docs: $(VENV)/.dev  ## check that the documents are in step with the code: links, listings, schemas, tables
	@$(BIN)/python -m pytest --quiet project/tests/docs project/tests/langgraph_workflows/test_guide.py \
		project/tests/workflow_events/test_export_schemas.py $(ARGS)
	@for page in metric_table:metrics cli_page:cli; do \
		$(BIN)/python -m langgraph_integration.ops.$${page%:*} | diff - docs/$${page#*:}.md \
			|| { echo "docs/$${page#*:}.md is not what langgraph_integration.ops.$${page%:*} prints" >&2; exit 1; }; \
	done

# Universal: one file for Python 3.11 to 3.13 on every system. Plain name==version with hashes, no index named.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
LOCK = $(COMPILE) pyproject.toml
lock:  ## write requirements/*.txt anew from pyproject.toml (needs uv); UPGRADE=--upgrade takes newer versions
	@command -v uv >/dev/null || { echo "the lock is written by uv: pip install uv" >&2; exit 1; }
	@$(LOCK) $(UPGRADE) --extra postgres --extra dev-broker --group dev -o requirements/dev.txt
	@$(LOCK) $(UPGRADE) --extra postgres --extra dev-broker -c requirements/dev.txt -o requirements/run.txt
	@$(COMPILE) $(UPGRADE) --group pyproject.toml:bench -c requirements/dev.txt -o requirements/bench.txt
	@$(call lock_airflow,apache-airflow~=3.3.0 apache-airflow-providers-common-messaging) -o requirements/airflow3.txt
	@$(call lock_airflow,apache-airflow~=2.11) -o requirements/airflow2.txt

lock_airflow = printf '%s\n' $(foreach each,$(1) apache-airflow-providers-standard,'$(each)') | uv pip compile --quiet --universal \
	--python-version 3.11 --no-header --no-annotate $(UPGRADE) pyproject.toml - \
	--extra airflow --extra postgres --extra dev-broker --group dev

clean:  ## remove .venv and all caches
	@rm -rf $(VENV) $(BENCH_VENV) $(AIRFLOW3) $(AIRFLOW2) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov build dist
	@find project -name __pycache__ -type d -prune -exec rm -rf {} +
