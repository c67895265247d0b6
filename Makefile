# Everything a fresh machine needs: `make repro` and `make test`. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: help repro test smoke lint clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

repro: $(VENV)/runtime ## set up, run the pipeline, print the test WER
	@$(BIN)/python -m asr check
	$(BIN)/dvc repro
	@$(BIN)/python -m asr verify

test: $(VENV)/development ## set up, run the test suite
	$(BIN)/python -m pytest

smoke: $(VENV)/runtime ## the whole pipeline in seconds, in a copy of the committed tree
	rm -rf .smoke && git clone --quiet . .smoke
	cd .smoke && cp presets/smoke.yaml params.yaml && $(BIN)/dvc repro && $(BIN)/python -m asr verify

lint: $(VENV)/development ## format, lint and type checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean: ## remove the environment; results and DVC's cache stay
	rm -rf $(VENV) .smoke

$(VENV)/python-checked:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, this is %d.%d: run make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/python-checked requirements.txt requirements.lock pyproject.toml
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/development: $(VENV)/runtime requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	@touch $@
