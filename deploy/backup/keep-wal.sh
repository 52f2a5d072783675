#!/bin/sh
# Keep one segment of the write-ahead log, for archive_command:
#
#   archive_mode = on
#   archive_command = 'sh /usr/share/tonne/backup/keep-wal.sh "%p" "%f" /srv/backup/wal'
#   archive_timeout = 60        # so much is lost at most, in seconds
#
# A segment is there whole and on the disk, or not at all.  The same segment again is
# fine; another one of that name is refused, for it is another server's.
set -eu
from=$1 name=$2 to=$3
if [ -e "$to/$name" ]; then
    cmp -s "$from" "$to/$name" && exit 0
    echo "keep-wal: $to/$name is there and differs: do two servers write to $to?" >&2
    exit 1
fi
mkdir -p "$to"
cp "$from" "$to/.writing-$name"
sync "$to/.writing-$name"
mv "$to/.writing-$name" "$to/$name"
sync "$to"
