# One command each; `make help` lists the daily ones, `make help ALL=1` all.  ARGS goes to the program behind a target:
#   make demo ARGS=--once      make test ARGS="tests/mrv -k am007"
#   make test ARGS="-n 0"      all tests in one process; what is named runs in one anyway
# PYTHON chooses the interpreter, VENV another folder for its environment:
#   make test PYTHON=python3.13 VENV=.venv-3.13
.DEFAULT_GOAL := help
.PHONY: help setup tools demo test test-other test-community soak coverage lint style lock dist release \
	mutants bench docket fuzz docs pictures charts dashboards pages views schemas readmes examples audit clean

VENV ?= .venv
export VENV
BIN := $(VENV)/bin
# hundreds of processes are started; without compiled modules on disk each compiles them anew
unexport PYTHONDONTWRITEBYTECODE
ROUNDS ?= 6
# histories of meters with faults, whose seed is printed
TRUTHS ?= 42300
# what has a short form, or draws examples, in `make test`, and all of it here
SOAKED = tests/services/api/console tests/figures \
	$(shell grep -rlE --include='test_*.py' 'tests\.soak|FAULT_ROUNDS|from hypothesis' tests)

help: #- What is used every day; ALL=1 lists every target
	@grep -hE '^[a-z-]+:.*#$(if $(ALL),[-#],#) ' $(MAKEFILE_LIST) \
		| sed -E 's/^([a-z-]+):.*#[-#] (.*)/  \1\t\2/' | expand -t 16

setup: ## Prepare .venv and system packages; starts nothing.  EXTRAS="api report": these alone
	@sh deploy/setup.sh $(EXTRAS)

tools: ## .venv with what tests and linters need
	@sh deploy/setup.sh dev

demo: ## From meter to verified tonne, in .tonne; ARGS=--once ends by itself
	@sh deploy/setup.sh api report
	@$(BIN)/tonne demo $(ARGS)

test: style ## Lint, and all tests against real servers; ARGS go to pytest
	@sh deploy/test_packages.sh
	@sh deploy/beside.sh "$(BIN)/mypy" $(BIN)/python -m pytest $(ARGS)

test-other: tools #- What depends on the interpreter, under a second Python where there is one
	@sh deploy/test_other_python.sh

test-community: tools #- Tests of the database on TimescaleDB's Community edition, where that is installed
	@sh deploy/test_community.sh $(ARGS)

soak: tools #- Faults, many kills each, and properties with new examples: hours; ROUNDS=17, ARGS go to pytest
	@sh deploy/test_packages.sh
	TRUTHS_COUNT=$(TRUTHS) TRUTHS_SEED=$$(date +%s) $(BIN)/python -m pytest -n 0 --capture=no --timeout=0 \
		tests/ingest/test_truths.py -k earns_more
	FAULT_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -n 0 -v --capture=no $(or $(ARGS),$(SOAKED))

coverage: tools #- All tests with branch coverage; ARGS go to pytest
	@sh deploy/test_packages.sh
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: style ## Style, types and who may import whom
	$(BIN)/mypy

style: tools # what takes two seconds of it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python deploy/lexicon.py lint

lock: tools #- Write requirements*.lock from pyproject.toml; ARGS=--upgrade for newer versions
	@sh deploy/lock.sh $(ARGS)

dist: tools #- Wheel, source, lock, SBOM and checksums into dist/; KEY=FILE signs them
	@KEY="$(KEY)" sh deploy/dist.sh

release: tools ## The checklist of a release: KEY=FILE; ARGS=--checks ends after what takes seconds
	@KEY="$(KEY)" sh deploy/release.sh $(ARGS)

mutants: tools #- Spoil each equation in turn: does a test notice?  Minutes; docs/mutants.md
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target .tonne/mutmut mutmut==3.8.1
	@rm -rf mutants
	@PYTHONPATH="$(CURDIR)/.tonne/mutmut" nice -n 19 $(BIN)/python -m mutmut run $(ARGS)
	@PYTHONPATH="$(CURDIR)/.tonne/mutmut" $(BIN)/python -m mutmut results

bench: tools ## Measure this machine; ends with one line of JSON
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench $(ARGS)  # as the command tonne has it

docket: tools ## Every rule against labelled honest and fraudulent cases: minutes; ARGS name some
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.docket $(ARGS)

fuzz: tools #- A million changed payloads into every codec; ARGS name codecs, --count, --atheris
	@$(BIN)/python -m tests.fuzz $(ARGS)

dashboards: tools #- Write deploy/grafana/dashboards from deploy/grafana/source
	@$(BIN)/python -m deploy.grafana.source

charts: tools #- Write the console's charts from deploy/charts, with Node from its wheel
	@cd deploy/charts && $(CURDIR)/$(BIN)/npm ci && \
		$(CURDIR)/$(BIN)/node build.mjs ../../services/api/console/static/vendor/charts.js

pages: tools ## Write docs/methodologies, docs/rules, docs/roles.md and GLOSSARY.md from their sources
	@$(BIN)/python -m deploy.methodology_docs
	@$(BIN)/python deploy/pages.py
	@$(BIN)/python -m tests.docket.page
	@$(BIN)/python deploy/lexicon.py

views: tools #- Write docs/views.md from a migrated database: ARGS=URL, or that of `tonne local up`
	@$(BIN)/python deploy/pages.py views $(ARGS)

schemas: tools ## Write docs/schemas from the types of the signed documents
	@$(BIN)/python -c "from deploy import reference_docs as r; r.write_schemas()"

docs: tools ## The documentation as a site, in .tonne/docs
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target .tonne/sphinx \
		--require-hashes -r requirements-docs.lock
	@PYTHONPATH="$(CURDIR)/.tonne/sphinx" $(BIN)/python -m sphinx -q -W --keep-going \
		-c docs/site . .tonne/docs
	@echo "open .tonne/docs/docs/index.html"

pictures: tools #- Pictures of the console into docs/pictures; URL=http://127.0.0.1:8080
	@$(BIN)/python deploy/pictures.py $(URL)

audit: tools #- Hold the locks against advisories: ADVISORIES="folders of OSV files"
	@$(BIN)/python deploy/audit.py $(ADVISORIES)

readmes: tools ## Write the READMEs of the packages from docstrings and import contracts
	@$(BIN)/python deploy/readmes.py

examples: tools #- Write the example documents and invoices of the catalog of Hai Phong
	@$(BIN)/python deploy/examples.py

clean: #- Stop local servers, then remove .venv, .tonne and caches
	@if [ -x $(BIN)/tonne ] && [ -d .tonne ]; then $(BIN)/tonne local down; fi
	rm -rf $(VENV) .tonne mutants dist build htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find ingest mrv services tests -name __pycache__ -type d -exec rm -rf {} +
