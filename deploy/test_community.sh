#!/bin/sh
# The tests of the database on TimescaleDB's Community edition, where that is installed.
#
#   sh deploy/test_community.sh             # words go to pytest
#
# All tests run on the edition that is installed; Debian's package is the Apache edition, which has
# no columnstore.  The Community edition is what Timescale's own packages and images bring.  What only
# exists there is behind services/store/postgres/columnstore.py.
set -eu
cd "$(dirname "$0")/.."

TESTS="tests/services/store tests/services/archive tests/services/issuer tests/services/embedded
tests/services/test_deadletter.py tests/samples tests/integration"

library=${PGLIB:-/usr/lib/postgresql/17/lib}
if ! ls "$library"/timescaledb-tsl-*.so >/dev/null 2>&1; then
    echo "tests: no Community edition in $library (timescaledb-tsl-*.so); install" >&2
    echo "  timescaledb-2-postgresql-17 of Timescale's packages in place of Debian's, or set PGLIB" >&2
    exit 2
fi
# shellcheck disable=SC2086 - a list of files
exec "${VENV:-.venv}/bin/python" -m pytest ${*:-$TESTS}
