#!/bin/sh
# Fetch the write-ahead log as it is written, for a server whose archive_command is not ours:
#
#   receive-wal.sh FILE-WITH-URL /srv/backup
#
# By the slot `tonne_backup` the server keeps what was not fetched.  Ends by SIGTERM; what fails is
# tried again.
set -eu
url=$(cat "$1") to=$2
bin=${PGBIN:-/usr/lib/postgresql/17/bin}
mkdir -p "$to/wal"
"$bin/pg_receivewal" --dbname="$url" --slot=tonne_backup --create-slot --if-not-exists
exec "$bin/pg_receivewal" --dbname="$url" --slot=tonne_backup --directory="$to/wal" --synchronous
