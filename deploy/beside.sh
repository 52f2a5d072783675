#!/bin/sh
# Run one command beside another; fail where either does.
#   sh deploy/beside.sh ".venv/bin/mypy" .venv/bin/python -m pytest
# Types take half a minute of a processor where nothing is cached; tests need not wait for them.
set -eu
beside=$1
shift
printf '%s &\n%s\n' "$beside" "$*"
sh -c "$beside" &
running=$!
code=0
"$@" || code=$?
if ! wait "$running"; then
    echo "failed: $beside; see above" >&2
    [ "$code" -ne 0 ] || code=1
fi
exit "$code"
