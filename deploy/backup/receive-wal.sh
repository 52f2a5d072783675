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
# `pg_receivewal --create-slot` reserves nothing before the first piece is fetched
"$bin/psql" -X -q -v ON_ERROR_STOP=1 -o /dev/null "$url" -c "
    SELECT pg_create_physical_replication_slot('tonne_backup', true)
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'tonne_backup')"
exec "$bin/pg_receivewal" --dbname="$url" --slot=tonne_backup --directory="$to/wal" --synchronous
