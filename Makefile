# Every target sets up the virtual environment .venv by itself; `make help` lists them.
# Two variables choose what to work on: MODEL (see `codesign models`) and BOARD (see `codesign boards`). SEARCH has
# options of `codesign search`, such as "--fps 2000 --budget 60M".

MODEL ?=
BOARD ?= pynq-z2
SEARCH ?=
# The first Python that is new enough; python3 itself, with its clear message, when none is.
new_enough = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(new_enough)' 2>/dev/null && echo $$name && exit; done; echo python3)

# The values go to the recipes through the environment, unexpanded, so that no shell ever parses them.
override MODEL := $(value MODEL)
override BOARD := $(value BOARD)
override SEARCH := $(value SEARCH)
export MODEL BOARD SEARCH

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

base := $(PYTHON) .ci/environment.py
dev := $(PYTHON) .ci/environment.py dev
full := $(PYTHON) .ci/environment.py dev qkeras qonnx qonnx-check rtl
every := $(full) ray
codesign := .venv/bin/codesign
# Tests run one process per core; more threads in each would only get in each other's way.
one_thread := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2

.PHONY: help synth csim verify search report test test-all lint format wheel clean env finn

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

synth: needs-model ## C-simulate MODEL against its integers, then synthesise it for BOARD
	@$(base)
	@$(codesign) synth --board "$$BOARD" -- "$$MODEL"

csim: needs-model ## compare the C simulation of MODEL with its committed vectors
	@$(base)
	@$(codesign) csim --check -- "$$MODEL"

verify: needs-model ## send vectors through MODEL and its C simulation and compare every integer
	@$(base)
	@$(codesign) verify -- "$$MODEL"

search: needs-model ## find the widths of MODEL that serve it best on BOARD, and train a model of them
	@$(base)
	@set -f; $(codesign) search --board "$$BOARD" $$SEARCH -- "$$MODEL"

report: needs-model ## write build/MODEL/BOARD/report.html
	@$(base)
	@$(codesign) report --board "$$BOARD" -- "$$MODEL"

test: ## run the tests (minutes)
	@$(full)
	@$(one_thread) .venv/bin/python -m pytest -n auto --dist worksteal

test-all: ## run the tests and those marked slow
	@$(every)
	@$(one_thread) .venv/bin/python -m pytest -n auto --dist worksteal -m "slow or not slow"

lint: ## check style, formatting and types
	@$(dev)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: ## apply the formatting
	@$(dev)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

wheel: ## build the wheel into dist/
	@$(dev)
	@.venv/bin/python -m build --wheel --no-isolation

env: ## set up .venv and nothing else
	@$(base)

finn: ## set up .venv-finn with FINN, for --backend finn
	@$(PYTHON) .ci/finn.py

clean: ## remove what commands have written (.venv stays)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	@find codesign tests benchmarks .ci -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: needs-model
needs-model:
	@if [[ -z "$$MODEL" ]]; then \
		echo "say which model: make $(MAKECMDGOALS) MODEL=resnet8_w3 (codesign models lists them)" >&2; exit 2; \
	fi
