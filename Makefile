# `make test` and `make demo` need python3 (3.11 or later) and nothing else: each makes the
# virtual environment .venv itself. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
INTEROP ?= .venv-interop
CLUSTERS ?= .venv-clusters
BUILD ?= build
PYTEST_ARGS ?=
WORKLOAD ?=
CASE ?=
ROUNDS ?= 3
S ?= 60
METHOD ?=
BENCH_VENV ?= .venv-bench
ORIGINAL_VENV ?= .venv-bench-original
BEFORE ?=
BEFORE_VENV ?= .venv-bench-before

BIN := $(VENV)/bin
PIP_OPTIONS := --disable-pip-version-check --quiet
PIP := $(BIN)/python -m pip $(PIP_OPTIONS)
PIP_HERE = $(@D)/bin/python -m pip $(PIP_OPTIONS) # of the environment that is being made

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test demo lint unit every coverage faults soak programs machines reads
.PHONY: interop clusters browser bench bench-faults bench-table docs changelog clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

test: lint unit docs ## everything that must hold: lint, tests, docs
	@echo "==> all good"

# METHOD=dask and METHOD=ray need a gigabyte, in the environment of `make clusters`.
ifeq ($(filter dask ray,$(METHOD)),)
demo: $(VENV)/.demo
DEMO_PYTHON := $(BIN)/python
else
demo: $(CLUSTERS)/.clusters
DEMO_PYTHON := $(CLUSTERS)/bin/python
endif

demo: ## show the library at work, METHOD=thread, dask or ray; writes a report and a trace into build
	@$(DEMO_PYTHON) -m seqtools demo --output $(BUILD) $(if $(METHOD),--method $(METHOD))

lint: $(VENV)/.dev ## style, types, and who imports whom
	@echo "==> ruff check"
	@$(BIN)/ruff check
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check
	@echo "==> mypy"
	@$(BIN)/mypy
	@echo "==> lint-imports"
	@$(BIN)/lint-imports --no-logo

unit: $(VENV)/.dev ## tests; PYTEST_ARGS="-k cycle" is passed on
	@echo "==> pytest"
	@$(BIN)/python -m pytest -n 4 $(PYTEST_ARGS)

every: $(VENV)/.dev ## all tests, also those that `make test` leaves out; see tests/sampling.py
	@$(BIN)/python -m pytest -n 4 --every $(PYTEST_ARGS)

# Measuring all processes that tests start makes them take three times as long.
# A data file that an interrupted run left behind would be counted with this run's.
coverage: $(VENV)/.dev ## tests with coverage, which must be 95 %: a quarter of an hour
	@echo "==> pytest"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n 4 --every $(PYTEST_ARGS)
	@echo "==> coverage"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

faults: $(VENV)/.dev ## kill workers, over 2,000 times at all points of the protocol: nothing may be lost
	@$(BIN)/python -m tests.faults.campaign

soak: $(VENV)/.dev ## read for S=60 seconds while workers are killed at random: nothing may grow
	@$(BIN)/python -m tests.faults.soak --seconds $(S)

programs: $(VENV)/.dev ## run random programs for S=60 seconds in every engine: they do the same
	@$(BIN)/python -m tests.programs --seconds $(S)

# Each in a process of its own: together they take ten minutes of processor time.
MACHINES := tests/caching/test_flights_machine.py tests/caching/test_cache_machine.py \
  tests/engines/test_scheduler.py::TestScheduling
# Python lets interrupts in at other places in each version.
PYTHONS ?= python3.11 python3.12 python3.13

machines: $(VENV)/.dev ## the state machines for long; random reads and interrupts, for all of PYTHONS
	@echo "==> pytest, each of $(MACHINES)"
	@set -e; started=; for each in $(MACHINES); do \
	  $(BIN)/python -m pytest -q -p no:cacheprovider --hypothesis-profile=machines --timeout=0 \
	    -o faulthandler_timeout=0 $$each & started="$$started $$!"; done; \
	  for one in $$started; do wait $$one; done
	@set -e; for each in $(PYTHONS); do \
	  if "$$each" -c "" 2>/dev/null; then \
	    $(MAKE) --no-print-directory reads PYTHON="$$each" VENV=".venv-$$(basename "$$each")"; \
	  else echo "==> there is no $$each: left out, say PYTHONS=..."; fi; done

reads: $(VENV)/.dev
	@echo "==> $(PYTHON): random reads against a list, interrupts at places of ours"
	@$(BIN)/python -m tests.prefetching.model 1000 300
	@$(BIN)/python -m tests.faults.interrupting 23

interop: $(INTEROP)/.interop ## tests beside torch, notebooks, Arrow and safetensors, which are large
	@echo "==> pytest tests/interop"
	@$(INTEROP)/bin/python -m pytest tests/interop --every $(PYTEST_ARGS)

clusters: $(CLUSTERS)/.clusters ## tests on real clusters: Dask, Ray, executors, a second machine; all must be there
	@echo "==> pytest tests/clusters"
	@$(CLUSTERS)/bin/python -m pytest tests/clusters --every -n 2 --dist loadgroup \
	  -o faulthandler_timeout=180 $(PYTEST_ARGS)

browser: $(VENV)/.dev ## reports of profiles in a real browser, Chromium, which must be there
	@command -v chromium chromium-browser google-chrome chrome >/dev/null || \
	  { echo "error: there is no Chromium: apt-get install chromium" >&2; exit 1; }
	@echo "==> pytest tests/profiling/test_browser.py"
	@$(BIN)/python -m pytest tests/profiling/test_browser.py $(PYTEST_ARGS)

# Beside the peers, in an environment of their own: 3 GB. SeqTools 1.x has our import name, so
# it has another one. What cannot be installed there is reported as missing, not fatal.
# STUDIES are of ours alone, and need no peers; those of clusters need the clusters.
STUDIES := auto verdict overhead
ifeq ($(and $(WORKLOAD),$(if $(filter-out $(STUDIES),$(WORKLOAD)),,studies)),studies)
bench: $(BENCH_VENV)/.own
else ifeq ($(and $(WORKLOAD),$(if $(filter-out cluster cluster-%,$(WORKLOAD)),,clusters)),clusters)
bench: $(BENCH_VENV)/.clusters
else
bench: $(BENCH_VENV)/.peers $(ORIGINAL_VENV)/.peers
endif

# Real jobs for profiles train with torch and read HDF5.
ifneq ($(filter verdict,$(WORKLOAD)),)
bench: $(BENCH_VENV)/.jobs
endif

# Ours of another commit takes turns with ours as it is; it has an environment of its own too.
ifneq ($(BEFORE),)
BEFORE_COMMIT := $(shell git rev-parse --verify --short '$(BEFORE)^{commit}')
ifeq ($(BEFORE_COMMIT),)
$(error BEFORE must be a commit, got $(BEFORE))
endif
bench: $(BEFORE_VENV)/.commit-$(BEFORE_COMMIT)
endif

bench: ## time ours and its peers; WORKLOAD=seed, ROUNDS=5, BEFORE=<commit> to compare ours with
	@$(BENCH_VENV)/bin/python -m benchmarks --original $(ORIGINAL_VENV)/bin/python \
	  $(if $(BEFORE),--before $(BEFORE_COMMIT) --before-python $(BEFORE_VENV)/bin/python) \
	  --rounds $(ROUNDS) $(WORKLOAD)

bench-faults: $(BENCH_VENV)/.peers $(ORIGINAL_VENV)/.peers ## what faults do to ours and its peers; CASE=ctrl-c, ROUNDS=5
	@$(BENCH_VENV)/bin/python -m benchmarks.faults --original $(ORIGINAL_VENV)/bin/python \
	  --runs $(ROUNDS) $(CASE)

bench-table: $(VENV)/.demo ## docs/benchmarks.md and docs/faults-elsewhere.md from what these have stored
	@$(BIN)/python -m benchmarks --table
	@$(BIN)/python -m benchmarks.faults --table

docs: $(VENV)/.dev ## the documentation as HTML, in build/docs
	@echo "==> sphinx-build"
	@$(BIN)/sphinx-build -W --keep-going --quiet -d $(BUILD)/doctrees docs $(BUILD)/docs

changelog: $(VENV)/.dev ## what the next release would say
	@$(BIN)/towncrier build --draft

clean: ## remove the environments and all that was made
	rm -rf $(VENV) $(INTEROP) $(CLUSTERS) $(BENCH_VENV) $(ORIGINAL_VENV) $(BEFORE_VENV) $(BUILD) dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	rm -rf .hypothesis .coverage .coverage.* htmlcov
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: a step runs again when it did not finish, or when pyproject.toml has changed.

$(VENV)/.made $(INTEROP)/.made $(CLUSTERS)/.made $(BENCH_VENV)/.made $(ORIGINAL_VENV)/.made $(BEFORE_VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "error: there is no $(PYTHON); install Python 3.11 or later, or say PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1); say PYTHON=..." >&2; exit 1; }
	@echo "==> making $(@D) with $(PYTHON)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(PIP_HERE) install --upgrade 'pip>=25.1' # the first that knows dependency groups
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo "==> installing seqtools"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	@echo "==> installing the tools of the developers"
	@$(PIP) install --group dev
	@touch $@

$(INTEROP)/.interop: pyproject.toml $(INTEROP)/.made
	@echo "==> installing seqtools and what the tests of interop need into $(@D)"
	@$(PIP_HERE) install --editable . --group interop
	@touch $@

$(CLUSTERS)/.clusters: pyproject.toml $(CLUSTERS)/.made
	@echo "==> installing seqtools and the clusters that it is tested on into $(@D)"
	@$(PIP_HERE) install --editable '.[dask,ray]' --group clusters
	@touch $@

$(BENCH_VENV)/.own: pyproject.toml $(BENCH_VENV)/.made
	@echo "==> installing seqtools and what its benchmarks need into $(@D)"
	@$(PIP_HERE) install --editable . --group bench
	@touch $@

$(BENCH_VENV)/.jobs: pyproject.toml $(BENCH_VENV)/.own
	@echo "==> installing what real jobs need into $(@D)"
	@$(PIP_HERE) install --group bench-jobs
	@touch $@

$(BENCH_VENV)/.clusters: pyproject.toml $(BENCH_VENV)/.own
	@echo "==> installing clusters into $(@D)"
	@$(PIP_HERE) install --group bench-clusters
	@touch $@

$(BENCH_VENV)/.peers: pyproject.toml $(BENCH_VENV)/.clusters
	@echo "==> installing the peers into $(@D)"
	@$(PYTHON) -c 'import tomllib; groups = tomllib.load(open("pyproject.toml", "rb")); \
	  print(*groups["dependency-groups"]["bench-peers"], sep="\n")' | while read -r peer; do \
	    $(PIP_HERE) install "$$peer" || echo "warning: $$peer cannot be installed" >&2; done
	@touch $@

$(ORIGINAL_VENV)/.peers: pyproject.toml $(ORIGINAL_VENV)/.made
	@echo "==> installing SeqTools 1.x into $(@D)"
	@$(PIP_HERE) install --group bench-original
	@touch $@

# From its files, as ours: so that both are imported in the same way.
$(BEFORE_VENV)/.commit-%: pyproject.toml $(BEFORE_VENV)/.made
	@echo "==> installing seqtools of $* into $(@D)"
	@rm -rf $(@D)/source $(@D)/.commit-* && mkdir $(@D)/source
	@git archive $* | tar -x -C $(@D)/source
	@$(PIP_HERE) install --editable $(@D)/source --group bench
	@touch $@
