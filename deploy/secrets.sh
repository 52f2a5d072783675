#!/bin/sh
# Make the secrets of compose.yaml and compose.kafka.yaml in deploy/secrets, once.
# Nothing has a default password; what is there already is kept.
#
#   sh deploy/secrets.sh
#
# Keys of devices and of the broker are made by `tonne registry issue-credentials` and
# `tonne broker config`.  Needs OpenSSL.
set -eu
folder=${TONNE_SECRETS:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
# Containers run as other users than us, and file secrets keep the file's mode: the
# folder is what nobody else may enter.
chmod 700 "$folder"

put() { # NAME: standard input into a file, unless it is there
    [ -e "$folder/$1" ] && { cat >/dev/null; return; }
    cat >"$folder/$1.new"
    chmod 444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
}

word() { openssl rand -hex 24 | tr -d '\n'; }

word | put owner_password
word | put pipeline_password
word | put api_password
word | put dashboards_password
word | put archive_password
word | put grafana_password
host="timescaledb:5432/tonne"
printf 'postgresql://tonne:%s@%s' "$(cat "$folder/owner_password")" "$host" | put owner_url
printf 'postgresql://tonne_pipeline:%s@%s' "$(cat "$folder/pipeline_password")" "$host" | put pipeline_url
printf 'postgresql://tonne_service:%s@%s' "$(cat "$folder/api_password")" "$host" | put api_url
printf 'postgresql://tonne_archivist:%s@%s' "$(cat "$folder/archive_password")" "$host" | put archive_url
echo "secrets are in $folder" >&2
