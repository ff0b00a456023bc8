# SPDX-License-Identifier: GPL-3.0-or-later
# make demo | test | bench | extension | lint | lock | clean      (set-up happens once, by itself)
#
# PYTHON      the interpreter that .venv is made from (CPython 3.11, what Blender 4.2 to 5.0 use)
# PIP_ARGS    more options for pip, e.g. --find-links FOLDER with CPU-only torch wheels, or --no-index
# PYTEST_ARGS more options for pytest, e.g. PYTEST_ARGS="-k cli -x"

PYTHON ?= python3.11
PIP_ARGS ?=
PYTEST_ARGS ?=
BPY_VERSIONS := 4.2 4.5
BPY_4.2 := 4.2.23
BPY_4.5 := 4.5.15

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet $(PIP_ARGS)
VENV := .venv/.installed
# What changes between the Blender versions: the bridge and the add-on.
VERSIONED_TESTS := tests/bridge tests/addon

.PHONY: demo test test-engine test-rest $(BPY_VERSIONS:%=test-bpy-%) bench extension lint lock clean

demo: $(VENV)
	$(PY) -m examples.demo

# Two at a time: half of a test's time is not spent in kernels that use all cores.
test: $(VENV)
	$(MAKE) -j2 --output-sync=target test-engine test-rest $(BPY_VERSIONS:%=test-bpy-%)

test-engine: $(VENV)
	$(PY) -m pytest tests/engine $(PYTEST_ARGS)

test-rest: $(VENV)
	$(PY) -m pytest tests --ignore tests/engine $(PYTEST_ARGS)

# Another bpy first on the path; everything else comes from .venv. What starts the engine is the same with every Blender.
$(BPY_VERSIONS:%=test-bpy-%): test-bpy-%: .bpy/%/.installed
	PYTHONPATH=.bpy/$* $(PY) -m pytest $(VERSIONED_TESTS) -m "not engine" $(PYTEST_ARGS)

bench: $(VENV)
	$(PY) -m benchmarks

extension: $(VENV)
	mkdir -p dist
	scripts/blender_ext.sh $(PY) validate .
	scripts/blender_ext.sh $(PY) build --source-dir . --output-dir dist
	scripts/blender_ext.sh $(PY) validate "$$(ls -t dist/likeness-*.zip | head -n 1)"

lint: $(VENV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	mkdir -p .cache/mypy && ln -sfn ../.. .cache/mypy/likeness
	$(PY) -m mypy

lock: $(VENV)
	scripts/lock.sh $(PY) > requirements.lock.new
	mv requirements.lock.new requirements.lock
	$(PY) scripts/lock_engine.py

clean:
	rm -rf .venv .bpy .cache dist build out likeness.egg-info

$(VENV): requirements.lock pyproject.toml scripts/install-apt.sh
	scripts/install-apt.sh $(PYTHON)
	$(PYTHON) -m venv .venv
	$(PIP) --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

.bpy/%/.installed: | $(VENV)
	rm -rf .bpy/$*
	$(PIP) --no-deps --target .bpy/$* bpy==$(BPY_$*)
	touch $@
