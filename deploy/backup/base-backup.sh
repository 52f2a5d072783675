#!/bin/sh
# Take a base backup of the whole cluster, check it, and forget those that are too old:
#
#   base-backup.sh postgresql://postgres@db /srv/backup [KEEP]
#
# Run it once a day, as the account that runs the server: what another leaves there, root
# too, the server cannot write beside.  KEEP base backups stay (7), with the write-ahead log since the
# oldest of them, so that any moment since then can be restored.
set -eu
url=$1 to=$2 keep=${3:-7}
bin=${PGBIN:-/usr/lib/postgresql/17/bin}
name=$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$to/base" "$to/wal"
rm -rf "$to"/base/.writing-*
"$bin/pg_basebackup" --dbname="$url" --pgdata="$to/base/.writing-$name" --checkpoint=fast \
    --wal-method=stream --manifest-checksums=SHA256
"$bin/pg_verifybackup" --quiet "$to/base/.writing-$name"
sync
mv "$to/base/.writing-$name" "$to/base/$name"
echo "base backup $to/base/$name, checked"

# without the write-ahead log no moment can be restored, and old backups must not go
# WAL_BY=stream: pg_receivewal keeps it, and the server knows nothing of that
mode=${WAL_BY:-$("$bin/psql" -X -At -c 'SHOW archive_mode' "$url")}
first=$(sed -n 's/.*file \([0-9A-F]*\)).*/\1/p' "$to/base/$name/backup_label" | head -n 1)
left=${WAL_WAIT_S:-90}
until [ "$mode" = off ] || [ -e "$to/wal/$first" ]; do
    if [ "$left" -le 0 ]; then
        echo "base-backup: the write-ahead log does not arrive: $to/wal has no $first;" \
            "look at archive_command, at pg_stat_archiver and at who owns $to" >&2
        exit 1
    fi
    left=$((left - 1))
    sleep 1
done

# head -n -KEEP, which not every head knows
old=$(ls -1 "$to/base" | awk -v keep="$keep" '{ name[NR] = $0 } END { for (i = 1; i <= NR - keep; i++) print name[i] }')
for each in $old; do
    rm -rf "$to/base/$each"
    echo "forgot $to/base/$each"
done
oldest=$(ls -1 "$to/base" | head -n 1)
first=$(sed -n 's/.*file \([0-9A-F]*\)).*/\1/p' "$to/base/$oldest/backup_label" | head -n 1)
"$bin/pg_archivecleanup" "$to/wal" "$first"
