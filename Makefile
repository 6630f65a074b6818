# Two commands for a stranger: `make demo` and `make test`. Each makes the environment it needs.
# `make demo-pages` serves the pages for people, `make demo-serving` two registers.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PHOTOS ?=
# Of the tests: two more than there are cores, since each waits for others a third of its time, and
# four at most.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(min((os.cpu_count() or 1) + 2, 4))')
# Without compiled modules each of the processes that tests start takes half a second longer.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-pages demo-serving test test-all check check-docs check-mypy check-style docs release lock types bench trial bench-edits bench-service bench-browser bench-inversion bench-video screenshots report-picture format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.core
	@$(BIN)/python demo/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

demo-serving: $(VENV)/.server
	@$(BIN)/python demo/serving.py

demo-pages: $(VENV)/.server
	@$(BIN)/python demo/pages.py

# In the order of the folders: those in a browser take longest, so that none of them comes last.
RUN_TESTS = $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile \
    --no-loadscope-reorder --durations 15

test: $(VENV)/.test
	$(RUN_TESTS) -m "not slow" -p no:schemathesis $(PYTEST_ARGS)

# Also what takes long and rarely finds anything.
test-all: $(VENV)/.test $(VENV)/.examples
	EGIDE_DOORS_EXAMPLES=10 $(RUN_TESTS) $(PYTEST_ARGS)

# In parts, which `make -j2 check` does two at a time.
check: check-mypy check-docs check-style types

check-style: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

check-mypy: $(VENV)/.check
	$(BIN)/mypy

check-docs: $(VENV)/.check
	$(BIN)/python docs/check.py
	$(BIN)/sphinx-build -q -W --keep-going -c docs -b dummy . build/docs-check

# The scripts of the pages, through JSDoc. Only those who have Node.js check them; CI has to.
types:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node_modules/.installed && \
	    node_modules/.bin/tsc --project jsconfig.json && \
	    echo "types: the scripts of the pages are in order"; \
	else \
	    echo "NOT CHECKED: the types of the pages' scripts, for want of Node.js 18 or newer with npm" >&2; \
	    test -z "$$CI"; \
	fi

node_modules/.installed: package.json package-lock.json .npmrc
	@npm ci --loglevel error >/dev/null
	@touch $@

# The site; a broken link or anchor, or a page that no index names, ends it.
docs: $(VENV)/.check
	@$(BIN)/sphinx-build -q -W --keep-going -c docs -b html . build/docs
	@echo "Open build/docs/index.html"

# The README's picture of a report.
report-picture: $(VENV)/.test demo
	@$(BIN)/python docs/report_picture.py

# Wheel, sdist and the list of what comes with them, tried in an environment of their own.
release: $(VENV)/.release
	@$(BIN)/python .ci/release.py

# Versions and digests of what the extras bring, and never where they came from.
lock: $(VENV)/.release
	@$(BIN)/uv pip compile pyproject.toml $(foreach extra,codecs fast heic jxl patches postgresql proof raw server,--extra $(extra)) --quiet --upgrade \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/all.py $(BENCH_ARGS)

# From matches to a set with proof, fifty thousand items: half an hour. TRIAL_ARGS="--items 500 --shards 5" is quick.
trial: $(VENV)/.bench
	@PYTHONPATH=benchmarks:demo:tests/support $(BIN)/python benchmarks/dataset_trial.py $(TRIAL_ARGS)

bench-edits: $(VENV)/.bench-edits
	@PYTHONPATH=benchmarks $(BIN)/python -m edits $(BENCH_ARGS)

bench-service: $(VENV)/.bench
	@PYTHONPATH=benchmarks:demo:tests/support $(BIN)/python -m service $(BENCH_ARGS)

bench-browser: $(VENV)/.bench
	@PYTHONPATH=benchmarks:demo:tests/support $(BIN)/python benchmarks/browser.py $(BENCH_ARGS)

bench-video: $(VENV)/.bench
	@PYTHONPATH=benchmarks $(BIN)/python -m video $(BENCH_ARGS)

# What fingerprints tell of a picture: networks learn, on one core and with patience.
bench-inversion: $(VENV)/.bench-inversion
	@PYTHONPATH=benchmarks nice -n 19 $(BIN)/python -m inversion $(BENCH_ARGS)

# Every page and state, in both languages, light and dark, on three screens: to be looked at.
screenshots: $(VENV)/.test
	PYTHONPATH=demo:tests/support:tests/browser $(BIN)/python tests/browser/screenshots.py demo-output/screenshots $(SCREENSHOT_ARGS)

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) node_modules build dist demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Egide needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.core: pyproject.toml | $(BIN)/python
	@echo "Installing Egide into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.examples: pyproject.toml $(VENV)/.test
	@$(BIN)/python -m pip install --quiet --group examples
	@touch $@

$(VENV)/.release: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --group release
	@touch $@

$(VENV)/.server: pyproject.toml $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --editable ".[server]"
	@touch $@

$(VENV)/.test $(VENV)/.check $(VENV)/.bench: $(VENV)/.%: pyproject.toml $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --editable ".[codecs,fast,heic,jxl,patches,postgresql,proof,raw,server,testing,video]" --group $*
	@touch $@

$(VENV)/.bench-inversion: pyproject.toml $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --editable ".[fast,patches]" --group bench-inversion
	@touch $@

# Perception asks for older rich and OpenCV than Egide does; hashing works with these.
$(VENV)/.bench-edits: pyproject.toml $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --editable ".[patches]" --group bench-edits
	@$(BIN)/python -m pip install --quiet --no-deps Perception==0.9.3
	@touch $@
