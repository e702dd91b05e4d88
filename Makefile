# The verbs of the project; CI calls the same ones. A fresh machine needs Python ≥ 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
# A worker runs a file whole (tests/conftest.py), so that its servers start once. Tests wait for
# servers a third of their time, so there is a worker more than cores.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(RUN) pytest -n $(WORKERS) --maxprocesses 4 --dist loadscope --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check

.PHONY: help serve test test-all lint format train fuzz chaos soak bench package lock system clean

help:             ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

serve: .venv/base ## Run the whole system at http://localhost:8000
	$(BIN)/legibly serve

test: .venv/dev   ## Run every test that needs no system service
	$(PYTEST) -m "not service"

test-all: .venv/services system ## Run every test, against real servers
	$(PYTEST)

lint: .venv/dev   ## Check style, types, and that imports go one way
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(RUN) mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --quiet --check --lint src/legibly/web/templates
	$(if $(NPM),$(MAKE) -s node_modules && npm run -s lint,@$(NO_NPM))

format: .venv/dev ## Put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	-$(BIN)/djlint --quiet --reformat src/legibly/web/templates
	$(if $(NPM),$(MAKE) -s node_modules && npm run -s format,@$(NO_NPM))

train: .venv/train ## Train the digits pack anew (DATA=folder of the data sets)
	$(BIN)/legibly train digits --data $(or $(DATA),../shared/data) --out build/digits

fuzz: .venv/dev   ## Break pictures, send requests at random (PICTURES=1000, SECONDS=60, SEED=…)
	PYTHONPATH=tests $(BIN)/python tests/fuzz/decoders.py --cases $(or $(PICTURES),1000) $(if $(SEED),--seed $(SEED))
	PYTHONPATH=tests $(BIN)/python tests/fuzz/api_cases.py --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

chaos: .venv/dev  ## Faults under load (ROUNDS=27, or KILLS=100 alone; SERVICES=1: S3, PostgreSQL; SEED=…)
	PYTHONPATH=tests $(BIN)/python tests/chaos/faults.py --rounds $(or $(KILLS),$(ROUNDS),27) \
	  $(if $(KILLS),--fault kill) $(if $(SERVICES),--services) $(if $(SEED),--seed $(SEED))

soak: .venv/dev   ## Mixed traffic: memory, handles and latency stay flat (MINUTES=30)
	PYTHONPATH=tests $(BIN)/python tests/chaos/soak.py --minutes $(or $(MINUTES),30)

bench: .venv/dev  ## Measure the server against its peers; writes benchmarks/RESULTS.md
	$(BIN)/python benchmarks/durable.py

package: .venv/dev ## Build the wheel, and the accuracy job for spark-submit
	$(BIN)/uv build --wheel --out-dir dist
	$(BIN)/python -c "import pathlib; from legibly.cloud import package; package.job(pathlib.Path('dist'))"

lock: .venv/dev   ## Pin exact versions anew, without addresses
	for set in services dev base; do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --upgrade \
	    $$(test $$set = base || echo --extra $$set) $$(test $$set = services || echo -c locks/services.txt) \
	    pyproject.toml -o locks/$$set.txt || exit 1; \
	done

system:           ## Install what test-all needs beside Python (Debian, Ubuntu)
	./.ci/services

clean:            ## Remove everything that was built
	rm -rf .venv .venv-* build dist .tools node_modules .mypy_cache .ruff_cache .pytest_cache

# Only the checks and tests of the pages use Node; CI must have it.
NPM := $(shell command -v npm)
NO_NPM := echo "The scripts of the pages were not checked: npm is missing (make system)"; \
  test -z "$$LEGIBLY_REQUIRE_SERVICES"
node_modules: package-lock.json
	npm ci --silent
	@touch $@

# Compiled when Legibly is installed.
KERNELS := src/legibly/vision/ink/native.c
# Each set holds the ones before it; a stamp tells what is installed, newest last.
.venv/base: locks/base.txt pyproject.toml $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -e .venv/dev -o -e .venv/services || $(INSTALL) -r locks/base.txt
	$(INSTALL) --no-deps -e .
	@touch $@

.venv/dev: locks/dev.txt pyproject.toml $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -e .venv/services || $(INSTALL) -r locks/dev.txt
	$(INSTALL) --no-deps -e .
	@touch $@

.venv/services: locks/services.txt pyproject.toml $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -r locks/services.txt
	$(INSTALL) --no-deps -e .
	@touch $@ .venv/dev

.venv/train: .venv/dev
	$(INSTALL) -e '.[train]'
	@touch $@
