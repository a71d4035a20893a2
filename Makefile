# Every target sets up what it needs in .venv, on a machine with Python 3.11+ and make.
# PYTHON chooses the interpreter that .venv is made with:  make test PYTHON=python3.12
# ARGS go to the command:                                  make run ARGS="--app-port 3010"

PYTHON ?= python3
BIN := .venv/bin

# Tests wait more than they compute, so there are two workers more than there are cores.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n + 2)))

# Compiled modules are kept, whatever the environment says: the tests start many a process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-image check bench soak lock clean
.DELETE_ON_ERROR:

run: .venv/installed
	@exec $(BIN)/gateway demo --config config/gateway.yaml $(ARGS)

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The image, built and run: needs root, on Debian, where it installs a container engine.
test-image: .venv/installed
	tests/image/engine.sh
	$(BIN)/python -m pytest tests/image $(ARGS)

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

soak: .venv/installed
	$(BIN)/python -m tests.soak $(ARGS)

bench: .venv/installed-bench
	$(BIN)/python -m tests.bench $(ARGS)

# The image's requirements, each with its version and hashes, made anew from what pyproject.toml asks for.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"
lock: .venv/installed-lock
	$(LOCK) --output-file deploy/requirements.txt pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' \
		| $(LOCK) --output-file deploy/requirements-build.txt -

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/installed-bench: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

.venv/installed-lock: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lock]'
	@touch $@

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 or newer is needed: make PYTHON=python3.12, say" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
