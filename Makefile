# `make test` and `make demo` need python3 (3.11 or later) and nothing else: each makes the
# virtual environment .venv itself. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
INTEROP ?= .venv-interop
BUILD ?= build
PYTEST_ARGS ?=
WORKLOAD ?= seed

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test demo lint unit interop bench docs changelog clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

test: lint unit docs ## everything that must hold: lint, tests with coverage, docs
	@echo "==> all good"

demo: $(VENV)/.demo ## show the library at work
	@$(BIN)/python -m seqtools demo

lint: $(VENV)/.dev ## style, types, and who imports whom
	@echo "==> ruff check"
	@$(BIN)/ruff check
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check
	@echo "==> mypy"
	@$(BIN)/mypy
	@echo "==> lint-imports"
	@$(BIN)/lint-imports --no-logo

# A data file that an interrupted run left behind would be counted with this run's.
unit: $(VENV)/.dev ## tests with coverage; PYTEST_ARGS="-k cycle" is passed on
	@echo "==> pytest"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	@echo "==> coverage"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

interop: $(INTEROP)/.interop ## tests beside torch, Arrow and safetensors, which are large
	@echo "==> pytest tests/interop"
	@$(INTEROP)/bin/python -m pytest tests/interop $(PYTEST_ARGS)

bench: $(VENV)/.demo ## time a workload of benchmarks/, such as WORKLOAD=seed
	@$(BIN)/python benchmarks/$(WORKLOAD).py

docs: $(VENV)/.dev ## the documentation as HTML, in build/docs
	@echo "==> sphinx-build"
	@$(BIN)/sphinx-build -W --keep-going --quiet -d $(BUILD)/doctrees docs $(BUILD)/docs

changelog: $(VENV)/.dev ## what the next release would say
	@$(BIN)/towncrier build --draft

clean: ## remove the environment and all that was made
	rm -rf $(VENV) $(INTEROP) $(BUILD) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf .hypothesis .coverage .coverage.* htmlcov
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: a step runs again when it did not finish, or when pyproject.toml has changed.

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "error: there is no $(PYTHON); install Python 3.11 or later, or say PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); say PYTHON=..." >&2; exit 1; }
	@echo "==> making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1' # the first that knows dependency groups
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "==> installing seqtools"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	@echo "==> installing the tools of the developers"
	@$(PIP) install --group dev
	@touch $@

$(INTEROP)/.interop: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(INTEROP) $(INTEROP)/.demo
	@echo "==> installing what the tests of interop need"
	@$(INTEROP)/bin/python -m pip --disable-pip-version-check --quiet install --group interop
	@touch $@
