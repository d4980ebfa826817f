# SPDX-License-Identifier: MIT
#
# Short names for everyday work; each recipe is what one would type. JOBS=n sets how many
# jobs run side by side (default: all processors).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build run test check bench clean

JOBS ?= $(shell nproc)
PY := build/venv/bin/python

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what this machine lacks (Debian packages, build/venv); quiet when nothing is
	@scripts/setup

build: setup ## Build everything for daily work into build/dev
	@cmake --preset dev --log-level=WARNING
	cmake --build --preset dev -j $(JOBS)

run: setup ## Build the release and show graven at work on this machine's package index
	@cmake --preset release --log-level=WARNING
	cmake --build --preset release -j $(JOBS)
	build/release/graven demo

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

bench: setup ## Measure against the peers, on a release build
	@cmake --preset release --log-level=WARNING
	cmake --build --preset release -j $(JOBS)
	PYTHONPATH=build/release/python $(PY) bench/run.py

clean: ## Remove what was built (keeps build/venv and the download cache)
	@for entry in build/*; do \
	  if [ "$$entry" != build/venv ]; then rm -rf "$$entry"; fi; \
	done
