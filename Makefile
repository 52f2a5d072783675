# One command each; `make help` lists them.  ARGS goes to the program behind a target:
#   make demo ARGS=--once      make test ARGS="tests/mrv -k am007"
.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage lint mutants bench fuzz dashboards pages schemas clean

BIN := .venv/bin

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

setup: ## Prepare .venv and system packages; starts nothing
	@sh deploy/setup.sh

demo: setup ## From meter to verified tonne, in .tonne; ARGS=--once ends by itself
	@$(BIN)/tonne demo $(ARGS)

test: lint ## Lint, then all tests against real servers; ARGS go to pytest
	@sh deploy/test_packages.sh
	$(BIN)/python -m pytest $(ARGS)

coverage: setup ## All tests with branch coverage; ARGS go to pytest
	@sh deploy/test_packages.sh
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: setup ## Style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutants: setup ## Spoil each equation in turn: does a test notice?  Minutes; docs/mutants.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .tonne/mutmut mutmut==3.8.1
	@rm -rf mutants
	@PYTHONPATH=$(CURDIR)/.tonne/mutmut nice -n 19 $(BIN)/python -m mutmut run $(ARGS)
	@PYTHONPATH=$(CURDIR)/.tonne/mutmut $(BIN)/python -m mutmut results

bench: setup ## Measure this machine; ends with one line of JSON
	@$(BIN)/python -m tests.bench $(ARGS)

fuzz: setup ## A million changed payloads into every codec; ARGS name codecs, --count, --atheris
	@$(BIN)/python -m tests.fuzz $(ARGS)

dashboards: setup ## Write deploy/grafana/dashboards from deploy/grafana/source
	@$(BIN)/python -m deploy.grafana.source

pages: setup ## Write docs/methodologies and the table of symbols from the methodologies' files
	@$(BIN)/python -m services.cli.calculate.methodology_docs

schemas: setup ## Write docs/schemas from the types of the signed documents
	@$(BIN)/python -m services.cli.calculate.document_schemas

clean: ## Stop local servers, then remove .venv, .tonne and caches
	@if [ -x $(BIN)/tonne ] && [ -d .tonne ]; then $(BIN)/tonne local down; fi
	rm -rf .venv .tonne mutants dist build htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find ingest mrv services tests -name __pycache__ -type d -exec rm -rf {} +
