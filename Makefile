# SPDX-License-Identifier: MIT
#
# Short names for everyday work; each recipe is what one would type. JOBS=n sets how many
# jobs run side by side (default: all processors); ARGS="--rounds 1 --only get" goes to the
# programs that measure.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build run test check bench bench-peers bench-report clean

JOBS ?= $(shell nproc)
ARGS ?=
PY := build/venv/bin/python

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what this machine lacks (Debian packages, build/venv); quiet when nothing is
	@scripts/setup

build: setup ## Build everything for daily work into build/dev
	@cmake --preset dev --log-level=WARNING
	cmake --build --preset dev -j $(JOBS)

run: setup ## Build the release and show graven at work on this machine's package index
	@cmake --preset release --log-level=WARNING
	cmake --build --preset release -j $(JOBS)
	build/release/examples/debian_packages

test: build ## Build and run all tests: C++ (ctest), then Python (pytest)
	ctest --preset dev -j $(JOBS)
	@if [ -d python/tests ]; then \
	  echo "PYTHONPATH=build/dev/python $(PY) -m pytest python/tests"; \
	  PYTHONPATH=build/dev/python $(PY) -m pytest python/tests; \
	fi

check: build ## Before a commit: format, lint, layers, licence lines, unit tests
	scripts/check_format
	$(PY) scripts/check_layers.py
	$(PY) scripts/check_files.py
	ctest --preset dev -L unit -j $(JOBS)

bench: ## Measure the graph against etcher, and maps in C++ against SQLite, LMDB, RocksDB
	@scripts/setup bench
	@cmake --preset release --log-level=WARNING
	cmake --build --preset release -j $(JOBS)
	PYTHONPATH=build/release/python $(PY) bench/run.py $(ARGS)
	$(PY) bench/run_map.py build/release/bin/map_bench $(ARGS)

bench-peers: ## Measure graven.Map in Python against dict and nine other stores
	@scripts/setup bench
	@cmake --preset release --log-level=WARNING
	cmake --build --preset release -j $(JOBS) --target _graven python_package
	@$(PY) bench/peers/install.py
	PYTHONPATH=build/release/python build/bench-venv/bin/python bench/run_peers.py $(ARGS)

bench-report: ## Write docs/performance/results.md and its pictures from what was measured last
	$(PY) bench/report.py

clean: ## Remove what was built (keeps build/venv and the download cache)
	@for entry in build/*; do \
	  if [ "$$entry" != build/venv ]; then rm -rf "$$entry"; fi; \
	done
