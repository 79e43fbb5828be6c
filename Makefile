# `make run` and `make test` each do all their own set-up; nothing is installed outside this folder except, for
# tests and as root, Debian's Chromium.

PYTHON ?= python3
BIN := .venv/bin
NATIVE := $(wildcard native/*.pyx native/*.pxi native/*.pxd native/c/*.h native/c/*/*.c native/c/*/*.h benchmarks/*.pyx benchmarks/c/*/*)
PAGES := $(shell find web -path web/node_modules -prune -o -path web/static -prune -o -type f \( -name '*.ts' -o -name '*.html' -o -name '*.css' -o -name '*.ftl' -o -name '*.svg' -o -name '*.json' \) -print)
PACKAGES := sfu mixer interpretation signaling native benchmarks
DATA_DIR ?= var/kabina

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONOPTIMIZE :=

.PHONY: run build dev test test-asan lint format bench bench-peers-tools bench-quality-tools fuzz soak clean test-tools
.DEFAULT_GOAL := run

run: build
	@$(BIN)/kabina serve --demo --data-dir $(DATA_DIR) $(ARGS)

build: build/.native build/.web

dev: build .venv/.dev

.venv/bin/python:
	@echo "→ Making the virtual environment"
	@PYTHON=$(PYTHON) sh tools/make-venv

.venv/.base: pyproject.toml setup.py tools/requirements | .venv/bin/python
	@echo "→ Installing Python packages and building the native code (a minute or two the first time)"
	@$(BIN)/python tools/requirements build > build/requirements-build.txt
	$(BIN)/pip install -r build/requirements-build.txt
	KABINA_SKIP_WEB=1 $(BIN)/pip install --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.base
	@echo "→ Installing the tools of tests and lint"
	@$(BIN)/python tools/requirements dev > build/requirements-dev.txt
	$(BIN)/pip install -r build/requirements-dev.txt
	@touch $@

build/.native: .venv/.base $(NATIVE)
	@echo "→ Building the native code"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

build/.web: .venv/.base $(PAGES)
	@echo "→ Building the pages"
	@$(BIN)/python tools/npm ci --ignore-scripts --no-audit --no-fund
	@$(BIN)/python tools/npm run build
	@touch $@

# --- Checks ---------------------------------------------------------------------------------------------------

test: dev test-tools lint
	$(BIN)/python tools/npm test
	$(BIN)/pytest -n 2 -m "not browser and not alone"
	$(BIN)/pytest -p no:randomly -m "browser or alone"

test-tools:
	@sh tools/install-test-tools

test-asan: dev
	@sh tools/test-asan

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(foreach package,$(PACKAGES),-p kabina.$(package))
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint native/*.pyx native/*.pxi native/*.pxd
	@sh tools/lint-c
	$(BIN)/python tools/npm run check

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev
	$(BIN)/kabina bench all

# Janus, Go and Pion for `kabina bench peers`, libwebrtc and speexdsp for `kabina bench jitter`: never by another target.
bench-peers-tools:
	@PYTHON=$(PYTHON) sh tools/install-bench-peers

# Pictures and the scorers of `kabina bench quality`. The venv's own versions are constraints: what cannot be had beside
# them is refused here, and never changes what tests run with.
bench-quality-tools: dev
	@$(BIN)/pip freeze --exclude-editable > build/constraints.txt
	@{ $(BIN)/python tools/requirements bench; $(BIN)/python tools/requirements bench-quality; } > build/requirements-bench.txt
	$(BIN)/pip install -c build/constraints.txt -r build/requirements-bench.txt

# A seed in KABINA_FUZZ_SEED repeats a run; the short round of `make test` is the same test.
fuzz: dev
	KABINA_FUZZ_SECONDS=600 $(BIN)/pytest -q -p no:randomly --timeout 4000 tests/wire/test_fuzz_parsers.py

clean:
	rm -rf .venv build web/node_modules web/static native/*.so *.egg-info
