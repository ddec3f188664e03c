# Everything that is run by hand or by CI. Stamp files in .venv remember what is installed, so the
# second run starts at once. Needs Debian (root or sudo), Python 3.11 and make; installs the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Compiled once, then read by each process of the tests.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
DONE := .venv/done
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --no-deps --no-build-isolation --use-pep517
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links

# A program that must be there, and the Debian package that has it. The Node that Playwright brings
# wants libatomic.
DEMO_PROGRAMS := pdfsig:poppler-utils certutil:libnss3-tools softhsm2-util:softhsm2 \
  curl:curl openssl:openssl
TEST_PROGRAMS := $(DEMO_PROGRAMS) postgres:postgresql chromium:chromium firefox-esr:firefox-esr \
  bearerbox:kannel libatomic.so.1:libatomic1
APP_PROGRAMS := node:nodejs npm:npm
APP := mobile_api/authenticator
# An SMS centre, and a client of OAuth.
PEERS := tests/world/smpp tests/world/openid_client

# Rooms in which each branch is tested.
WHOLLY_COVERED := backend/sam/*,backend/signing/*,backend/protocol/*
# The tests that do it. To watch the others too took a third of their time.
COVERING := $(addprefix tests/unit/,protocol sam signing) $(addprefix tests/integration/,people signing) \
  $(patsubst %,tests/journeys/test_%.py,answers csc_algorithms forgotten_password oauth_ways_out)

# Each process has its own PostgreSQL server and its own SoftHSM store. One more than cores: many
# tests wait for a browser, a kill or a clock.
SIDES := $(shell echo $$(( $$(nproc) < 4 ? $$(nproc) + 1 : 4 )))
SIDE_BY_SIDE := --numprocesses $(SIDES) --dist worksteal

# Tests make some hundred thousand files and delete them. ext4 looks for a place past all that were
# deleted in the last seconds, which took longer than the tests; where there is memory, they lie there.
MEMORY := $(shell [ -w /dev/shm ] && ! grep -q ' /dev/shm .*noexec' /proc/mounts && \
  [ "$$(df --output=avail /dev/shm | tail -1)" -gt 4000000 ] && \
  awk '/^MemAvailable/ && $$2 > 6000000 {print "/dev/shm"}' /proc/meminfo)
PYTEST := $(if $(MEMORY),TMPDIR=$(MEMORY)) $(BIN)/python -m pytest --quiet $(SIDE_BY_SIDE)

.PHONY: help demo serve test bench bench-waiting bench-worker mutants soak lint coverage lock

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: $(DONE)/demo-programs $(DONE)/product $(DONE)/app ## Show a whole signature, step by step, with real parts
	@$(BIN)/cellkey demo

serve: $(DONE)/demo-programs $(DONE)/product $(DONE)/app ## Run the whole service in one process
	@$(BIN)/cellkey hsm init --if-missing
	@$(BIN)/cellkey db upgrade
	@$(BIN)/cellkey worker keys --if-missing
	@$(BIN)/cellkey serve

test: lint $(DONE)/test-programs $(DONE)/app $(DONE)/peers ## Check the form of the code, then run all tests
	@echo "tests"
	@rm -f .coverage .coverage.*
	@$(PYTEST) --cov --cov-report= $(addprefix --watched=,$(COVERING))
	@$(BIN)/coverage report --include='$(WHOLLY_COVERED)' --fail-under=100

coverage: $(DONE)/test-programs $(DONE)/app $(DONE)/peers ## Run all tests and say which lines of all code none of them runs (long)
	@rm -f .coverage .coverage.*
	@$(PYTEST) --cov=backend --cov=mobile_api

bench: $(DONE)/development ## Measure whole flows on the embedded default; figures in var/bench.json
	@$(BIN)/python -m tests.bench

bench-worker: $(DONE)/development $(DONE)/test-programs ## Measure pushes a second by one worker; figures in var/bench-worker.json
	@$(BIN)/python -m tests.bench_worker

soak: $(DONE)/test-programs ## Run flows for ten minutes while every process is killed; figures in var/soak.json
	@$(BIN)/python -m tests.soak

bench-waiting: $(DONE)/development $(DONE)/test-programs ## Measure how soon 10 000 who wait are woken; figures in var/bench-waiting.json
	@$(BIN)/python -m tests.bench_waiting

mutants: $(DONE)/mutants ## Change sam/ and protocol/ line by line: the tests must notice (long)
	@nice -n 19 $(BIN)/python -m tests.mutation

lint: $(DONE)/development $(DONE)/app ## Check form, types and the direction of imports
	@echo "ruff"
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "phone app"
	@node .venv/node/node_modules/prettier/bin/prettier.cjs --log-level warn --check \
	  --config $(APP)/package.json '$(APP)/static/{,protocol/,screens/}*.js' 'tests/{authenticator,unit/pages}/*.mjs' \
	  backend/pages/assets/pages.js
	@for part in $(APP) $(APP)/tsconfig.worker.json; do \
	  node .venv/node/node_modules/typescript/bin/tsc -p $$part; done
	@echo "import-linter"
	@$(BIN)/lint-imports --no-cache >$(DONE)/imports.log || { cat $(DONE)/imports.log; exit 1; }

lock: $(DONE)/venv ## Choose the newest versions that fit, and pin them with their hashes
	@$(PIP) install uv
	@$(LOCK) --upgrade --group pyproject.toml:build -o requirements-build.lock
	@$(LOCK) --upgrade pyproject.toml --all-extras -o requirements.lock
	@$(LOCK) --upgrade pyproject.toml --all-extras --group pyproject.toml:tests \
	  --group pyproject.toml:lint -c requirements.lock -o requirements-dev.lock
	@$(LOCK) --upgrade --group pyproject.toml:mutants -c requirements-dev.lock \
	  -o requirements-mutants.lock

# --- what is installed ------------------------------------------------------------------------------

$(DONE)/venv: requirements-build.lock
	@.ci/system-packages python:$(PYTHON)
	@echo "Python environment in .venv"
	@$(PYTHON) -m venv .venv
	@mkdir -p $(DONE)
	@$(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements-build.lock
	@touch $@

$(DONE)/product: requirements.lock pyproject.toml $(DONE)/venv
	@echo "the product and what it stands on (a minute)"
	@$(INSTALL) -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DONE)/development: requirements-dev.lock $(DONE)/product
	@echo "what tests and checks need"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

$(DONE)/app: .ci/authenticator $(APP)/package-lock.json $(APP)/vendor.sha256 $(DONE)/venv
	@.ci/system-packages $(APP_PROGRAMS)
	@echo "the libraries of the phone app"
	@.ci/authenticator
	@touch $@

$(DONE)/mutants: requirements-mutants.lock $(DONE)/development
	@echo "what makes mutants"
	@$(INSTALL) -r requirements-mutants.lock
	@touch $@

$(DONE)/demo-programs: Makefile $(DONE)/venv
	@.ci/system-packages $(DEMO_PROGRAMS)
	@touch $@

$(DONE)/test-programs: Makefile $(DONE)/venv
	@.ci/system-packages $(TEST_PROGRAMS)
	@touch $@

# Their locks name no registry: npm asks the one that it is told.
$(DONE)/peers: $(PEERS:=/package-lock.json) $(DONE)/app
	@echo "programs that are not ours, which the tests talk to"
	@for peer in $(PEERS); do npm ci --prefix $$peer --ignore-scripts --no-audit --no-fund --silent; done
	@touch $@
