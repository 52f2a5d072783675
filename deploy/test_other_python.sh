#!/bin/sh
# What depends on the interpreter, once more under another Python than the environment's own.
#
#   sh deploy/test_other_python.sh          # the first of 3.13, 3.12, 3.11 that is another one
#
# The whole suite runs under one interpreter; these tests run under a second one, where there is
# one: payloads, settings, dead letters, the edge outbox, the command line, statements' bytes.
set -eu
cd "$(dirname "$0")/.."

TESTS="tests/ingest/test_decode.py tests/ingest/test_decode.py tests/ingest/codecs
tests/services/test_settings.py tests/services/test_deadletter.py tests/services/test_cli_main.py
tests/services/edge/test_outbox.py tests/mrv/test_documents.py tests/mrv/test_verify.py
tests/mrv/test_statement.py tests/samples/test_0_1_0_packs.py"

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

own=$(version "${VENV:-.venv}/bin/python") || {
    echo "tests: no environment yet; run make test first" >&2
    exit 2
}
for name in /usr/bin/python3 python3.13 python3.12 python3.11; do
    found=$(version "$name") || continue
    case $found in
    "$own") continue ;;
    3.11 | 3.12 | 3.13) ;;
    *) continue ;;
    esac
    echo "tests: the suite ran under Python $own; what depends on it now under $found ($name)" >&2
    other=.venv-$found
    PYTHON=$name VENV=$other sh deploy/setup.sh dev
    # shellcheck disable=SC2086 - a list of files
    exec "$other/bin/python" -m pytest -n 2 $TESTS
done
echo "tests: no second Python of 3.11, 3.12 and 3.13 is here; only $own was used" >&2
