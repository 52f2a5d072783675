#!/bin/sh
# Prepare .venv with the locked dependencies, and the system packages of the local servers.
# Starts nothing.  Run again, it only looks: the environment is made anew when the lock, the
# project file or the interpreter changed.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

install_packages() { # as root only; named before anything happens
    say "installing system packages: $*"
    apt-get -q update >&2 || true # an old list may still do
    DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "$@" >&2
}

find_python() {
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

python=$(find_python || true)
if [ -z "$python" ] || ! can_make_environments "$python"; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "Python 3.11 or newer with its venv module is needed; as root: apt-get install python3-venv"
        exit 2
    fi
    install_packages python3-venv
    python=$(find_python || true)
    # an interpreter of one's own may come first in PATH and still lack venv
    if [ -z "$python" ] || ! can_make_environments "$python"; then
        python=/usr/bin/python3
    fi
fi

stamp=.venv/.prepared
wanted=$(cat requirements-dev.lock pyproject.toml deploy/setup.sh | sha256sum)
if [ ! -x .venv/bin/tonne ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "preparing .venv with $("$python" --version)"
    rm -f "$stamp"
    # an environment that was moved, or whose interpreter is gone, cannot be mended
    .venv/bin/python -c 'import pip' 2>/dev/null || rm -rf .venv
    [ -d .venv ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements-dev.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation --editable .
    printf '%s\n' "$wanted" >"$stamp"
fi

exec .venv/bin/tonne local install
