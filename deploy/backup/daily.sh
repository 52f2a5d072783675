#!/bin/sh
# Take a base backup a day, at a time of UTC, until stopped; the first one at once:
#
#   daily.sh postgresql://postgres@db /srv/backup [19:30] [KEEP]
#   daily.sh --check /srv/backup            # exit 1 where the newest is older than 26 hours
#
# One that fails is tried again after ten minutes; what is there stays.
set -eu
here=$(dirname "$0")
if [ "$1" = --check ]; then
    newest=$(find "$2/base" -mindepth 1 -maxdepth 1 -name '[0-9]*' -mmin -1560 | head -n 1)
    [ -n "$newest" ] || {
        echo "daily: no base backup of the last 26 hours in $2/base" >&2
        exit 1
    }
    exit 0
fi
url=$1 to=$2 at=${3:-19:30} keep=${4:-7}
due=$(echo "$at" | awk -F: '/^[0-9]+:[0-9]+$/ && $1 < 24 && $2 < 60 {print $1 * 3600 + $2 * 60}')
if [ -z "$due" ]; then
    echo "daily: $at is not a time of day; give such as 19:30" >&2
    exit 2
fi

wait_s() { # until the next DUE
    now=$(($(date -u +%s) % 86400))
    left=$(((due - now + 86400) % 86400))
    [ "$left" -gt 0 ] || left=86400
    echo "$left"
}

if [ -n "$(find "$to/base" -mindepth 1 -maxdepth 1 -name '[0-9]*' 2>/dev/null | head -n 1)" ]; then
    sleep "$(wait_s)"
fi
while :; do
    if sh "$here/base-backup.sh" "$url" "$to" "$keep"; then
        sleep "$(wait_s)"
    else
        echo "daily: no base backup; tried again in ten minutes" >&2
        sleep 600
    fi
done
