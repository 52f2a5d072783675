#!/bin/sh
# Write the locks anew from pyproject.toml: `make lock`, or `make lock ARGS=--upgrade`.
# Pins that are there are kept where they still fit.  No lock names an index: where packages come
# from is the user's choice.
set -eu
cd "$(dirname "$0")/.."

compile() { # LOCK OPTION...; for every Python that tonne supports, from wheels alone
    lock=$1
    shift
    "${VENV:-.venv}/bin/uv" pip compile --quiet --output-file "$lock" \
        --universal --python-version 3.11 --generate-hashes --only-binary :all: \
        --no-strip-extras --no-header "$@"
}

# what tonne with all its extras needs; that and what tests need; what installs either; what makes
# the documentation's site
compile requirements.lock pyproject.toml --all-extras "$@"
compile requirements-dev.lock pyproject.toml --all-extras --group dev -c requirements.lock "$@"
compile requirements-setup.lock --group setup -c requirements-dev.lock "$@"
compile requirements-docs.lock --group docs "$@"
