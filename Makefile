# Palmetto's commands. A fresh clone needs Python 3.11 or later, make and a package registry.
#
#   make study     train the starter family and write studies/starter/report/index.html (about ten minutes)
#   make test      the tests
#   make drills    the slow checks: a browser opens the report, a study is killed and goes on, other Pythons
#   make lint      ruff, mypy and the rule of the rooms
#   make format    let ruff rewrite what it can
#   make clean     remove what make made (.venv and caches); studies/ stays
#
# PYTHON=/path/to/python3.12 names the interpreter that .venv is made with; ARGS="..." goes to the command.

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# A .venv that somebody else made may lack pip.
INSTALL := { $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip; } && \
	$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --progress-bar off -c constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt

# Tests and drills: XLA's CPU results depend on its thread count, which it reads from NPROC, so it is the same
# everywhere; compiled programs are kept from one test process to the next; a stray download is an error.
JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.jax_cache
JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.1
test drills: export NPROC := 2
test drills: export HF_HUB_OFFLINE := 1
test drills: export JAX_COMPILATION_CACHE_DIR := $(JAX_COMPILATION_CACHE_DIR)
test drills: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := $(JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS)

.PHONY: help study test drills lint format clean
.DEFAULT_GOAL := help

help:
	@sed -n '3,12s/^# \{0,1\}//p' Makefile

study: $(VENV)/.installed
	$(BIN)/palmetto study starter $(ARGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Three files at a time, since most drills wait for commands that use one core, or for clocks, in the order of
# drills/conftest.py; then what measures time, by itself (the marker `alone`). Status 5 means that ARGS left nothing to
# one of the two.
DRILLS = $(BIN)/python -m pytest $(if $(findstring drills/,$(ARGS)),,drills) -v -rs --durations=0 $(ARGS)
drills: $(VENV)/.installed-drills
	@together=0; alone=0; \
	$(DRILLS) -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" || together=$$?; \
	if [ $$together -eq 2 ]; then exit 2; fi; \
	$(DRILLS) -m alone || alone=$$?; \
	echo "drills: exit status $$together of those run together, $$alone of those alone"; \
	case "$$together $$alone" in "0 0" | "0 5" | "5 0") ;; *) exit 1 ;; esac

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests drills benchmarks
	$(BIN)/ruff format --check src tests drills benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix src tests drills benchmarks
	$(BIN)/ruff format src tests drills benchmarks

clean:
	rm -rf $(VENV) .jax_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests drills benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says what .venv holds, so that nothing is installed twice. A larger set counts for the smaller ones.
$(VENV)/.installed: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing Palmetto into $(VENV) (some minutes the first time)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing Palmetto and what its tests need into $(VENV) (some minutes the first time)"
	@$(INSTALL) -e '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-drills: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing Palmetto and what its drills need, PyTorch among it, into $(VENV) (some minutes the first time)"
	@$(INSTALL) -e '.[drills]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $@

$(VENV)/.installed-dev: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing Palmetto and what its developers need into $(VENV) (some minutes the first time)"
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-drills $@

# A name on PATH is no proof: a version manager's shim may fail when run, and Debian's python3 may lack venv.
$(BIN)/python:
	@python="$(PYTHON)"; \
	usable='import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))'; \
	if [ -n "$$python" ]; then \
		"$$python" -c "$$usable" || { \
			echo "PYTHON=$$python does not run, is older than 3.11, or lacks the venv and ensurepip modules." >&2; \
			exit 1; }; \
	else \
		for name in python3 python3.12 python3.13 python3.11; do \
			if "$$name" -c "$$usable" >/dev/null 2>&1; then python="$$name"; break; fi; \
		done; \
	fi; \
	if [ -z "$$python" ]; then \
		echo "No usable Python 3.11 or later found (tried python3, python3.12, python3.13, python3.11)." >&2; \
		echo "Install one with its venv module (Debian: python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
