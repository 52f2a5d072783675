#!/bin/sh
# Make a data folder from a backup, as of a moment:
#
#   restore.sh /srv/backup /var/lib/postgresql/17/restored ['2026-11-25 10:00:00+00']
#
# Without a moment all that was kept comes back.  The newest base backup before it is
# checked first.  Start the server over the folder: it replays what was kept until the
# moment, and then takes writes.  Then, before anybody is let in:
#
#   tonne log audit --checkpoint HEAD    # a head that was published, or that a witness holds
#   tonne rebuild --check --from .. --to ..
#   tonne archive verify
set -eu
from=$1 data=$2 moment=${3:-}
bin=${PGBIN:-/usr/lib/postgresql/17/bin}
here=$(cd "$from" && pwd)
if [ -e "$data" ] && [ -n "$(ls -A "$data")" ]; then
    echo "restore: $data is not empty; name a new folder" >&2
    exit 2
fi
last=9
[ -z "$moment" ] || last=$(date -u -d "$moment" +%Y%m%dT%H%M%SZ)
base=$(ls -1 "$from/base" | awk -v last="$last" '$0 <= last' | tail -n 1)
if [ -z "$base" ]; then
    echo "restore: no base backup in $from/base is as old as ${moment:-that}" >&2
    exit 2
fi
"$bin/pg_verifybackup" --quiet "$from/base/$base"
mkdir -p "$data"
chmod 700 "$data"
cp -a "$from/base/$base/." "$data"
{
    echo "archive_mode = 'off'  # until it is known to be what it should be"
    # the last piece that pg_receivewal wrote has another name
    echo "restore_command = 'cp \"$here/wal/%f\" \"%p\" 2>/dev/null || cp \"$here/wal/%f.partial\" \"%p\"'"
    [ -z "$moment" ] || echo "recovery_target_time = '$moment'"
    [ -z "$moment" ] || echo "recovery_target_action = 'promote'"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "restored $base into $data; start the server over it"
