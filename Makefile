# Needs Python 3.11 or newer, with venv, and nothing else; the rest is put into .venv.
# Another Python: make setup PYTHON=python3.12. Further arguments: make demo ARGS=--once.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv pip
INTO := --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup debian demo test bench repeat chaos overload soak bench-batch crash-batch through bench-drift bench-scaling scale-live ray-live ray-lost swaps libraries kill-rollouts canaries format lock clean

DEBIAN := prometheus postgresql

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## create .venv with everything in requirements.lock, once

debian: ## install servers that tests ask for, as root on Debian; without them these tests are skipped
	@dpkg --status $(DEBIAN) >/dev/null 2>&1 || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null \
		|| { apt-get -qq update && apt-get -qq install --yes --no-install-recommends $(DEBIAN) >/dev/null; } \
		|| echo "note:  $(DEBIAN) could not be installed; the tests that need it are skipped"

demo: setup ## train a small real model, serve it and ask it
	$(BIN)/tenfold demo $(ARGS)

test: setup debian ## format, lint, types, who imports whom, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not alone" $(ARGS)
	$(BIN)/pytest -m alone $(ARGS) || test $$? = 5  # none of these were asked for

bench: setup ## measure the server beside its limits and its peers
	$(BIN)/python -m benchmarks.online $(ARGS)

repeat: setup ## find one capacity twice, and see how far apart the results are
	$(BIN)/python -m benchmarks.repeat $(ARGS)

chaos: setup ## kill and stop replicas under load, and see whether anything is lost
	$(BIN)/python -m benchmarks.chaos $(ARGS)

overload: setup ## offer more than can be answered, and see what becomes of it; ARGS=--peers for others as well
	$(BIN)/python -m benchmarks.overload $(ARGS)

soak: setup ## keep a steady load for ten minutes, and see whether memory grows
	$(BIN)/python -m benchmarks.soak $(ARGS)

bench-batch: setup ## measure jobs over files beside a bare loop
	$(BIN)/python -m benchmarks.batch $(ARGS)

through: setup ## send a file through a live service, and see whether its own requests notice
	$(BIN)/python -m benchmarks.through $(ARGS)

crash-batch: setup ## kill a job at 50 random points, and see whether a byte differs
	$(BIN)/python -m benchmarks.batch_crashes $(ARGS)

bench-scaling: setup ## what scaling costs and misses beside Knative and HPA; ARGS="--traces DIR" adds recorded traffic
	$(BIN)/python -m benchmarks.scaling $(ARGS)

scale-live: setup ## scale 1 → 4 → 1 under load, and see whether anything is lost and what a second replica is worth
	$(BIN)/python -m benchmarks.scale_live $(ARGS)

ray-live: setup ## compare replicas on a Ray cluster with local ones, and with Ray Serve
	$(BIN)/python -m benchmarks.ray_live $(ARGS)

ray-lost: setup ## kill a machine of a Ray cluster under load, and see whether anything is lost
	$(BIN)/python -m benchmarks.ray_lost $(ARGS)

bench-drift: setup ## false alarms, delays, known data and speed of drift; ARGS="--peers --large" for all of it
	$(BIN)/python -m benchmarks.drift $(ARGS)

swaps: setup ## swap releases 100 times under load, and see whether anything is lost
	$(BIN)/python -m benchmarks.swaps $(ARGS)

libraries: setup ## swap two versions of scikit-learn under load, each in its own environment
	$(BIN)/python -m benchmarks.libraries $(ARGS)

kill-rollouts: setup ## kill processes 200 times while releases take over, and see whether what was asked is done
	$(BIN)/python -m benchmarks.rollout_kills $(ARGS)

canaries: setup ## simulate thousands of rollouts: how often are they wrong, and how soon right?
	$(BIN)/python -m benchmarks.canaries $(ARGS)

format: setup ## format the code and mend what the linter can
	$(BIN)/ruff check --fix --exit-zero .
	$(BIN)/ruff format .

lock: setup ## resolve requirements.lock anew (ARGS=--upgrade for newer versions)
	$(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--all-extras --group dev --output-file requirements.lock $(ARGS) pyproject.toml

clean: ## remove everything that make and the tools made
	rm -rf .venv benchmarks/.venvs build dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: requirements.lock pyproject.toml hatch_build.py src/tenfold/server/_hot.c | $(BIN)/uv
	$(UV) install $(INTO) --quiet --require-hashes --requirement requirements.lock
	$(UV) install $(INTO) --quiet --no-deps --no-build-isolation --editable .
	$(UV) check $(INTO) --quiet
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: tenfold needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version)"; \
		echo "fix:   make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	awk '/^[^ ]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .venv/uv.txt
