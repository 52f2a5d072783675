#!/bin/sh
# Make the secrets of compose.yaml and compose.kafka.yaml in deploy/secrets, once.
# Nothing has a default password; what is there already is kept.
#
#   sh deploy/secrets.sh                     # all that tonne needs
#   sh deploy/secrets.sh device inv-001      # a password for a device, printed once
#
# Needs OpenSSL 3.
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

# As mosquitto's password file keeps it: PBKDF2, SHA-512, and mosquitto's own 101 rounds.
# More would hold the broker up when a fleet reconnects, and random words need no stretching.
hashed() { # PASSWORD
    salt=$(openssl rand -base64 12)
    hex=$(printf %s "$salt" | openssl base64 -d -A | od -An -tx1 | tr -d ' \n')
    key=$(openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt "pass:$1" \
        -kdfopt "hexsalt:$hex" -kdfopt iter:101 -binary PBKDF2 | openssl base64 -A)
    printf '$7$101$%s$%s\n' "$salt" "$key"
}

enrol() { # NAME PASSWORD, into the broker's password file
    line="$1:$(hashed "$2")"
    touch "$folder/mqtt_passwords"
    # in place: a running broker has this file mounted, and rereads it on SIGHUP
    { grep -v "^$1:" "$folder/mqtt_passwords" || true; echo "$line"; } >"$folder/mqtt_passwords.new"
    chmod 644 "$folder/mqtt_passwords"
    cat "$folder/mqtt_passwords.new" >"$folder/mqtt_passwords"
    rm "$folder/mqtt_passwords.new"
}

if [ "${1:-}" = device ]; then
    name=${2:?which device? deploy/secrets.sh device NAME}
    case $name in *[!A-Za-z0-9_-]*) echo "secrets: $name: letters, digits, _ and - only" >&2; exit 2 ;; esac
    [ "$name" != tonne ] || { echo "secrets: tonne is the pipeline's own name" >&2; exit 2; }
    password=$(word)
    enrol "$name" "$password"
    echo "$password"
    exit 0
fi

word | put owner_password
word | put pipeline_password
word | put api_password
word | put dashboards_password
word | put archive_password
word | put grafana_password
word | put mqtt_password
host="timescaledb:5432/tonne"
printf 'postgresql://tonne:%s@%s' "$(cat "$folder/owner_password")" "$host" | put owner_url
printf 'postgresql://tonne_pipeline:%s@%s' "$(cat "$folder/pipeline_password")" "$host" | put pipeline_url
printf 'postgresql://tonne_service:%s@%s' "$(cat "$folder/api_password")" "$host" | put api_url
printf 'postgresql://tonne_archivist:%s@%s' "$(cat "$folder/archive_password")" "$host" | put archive_url
printf 'mqtt://tonne:%s@mosquitto:1883' "$(cat "$folder/mqtt_password")" | put mqtt_url
[ -e "$folder/mqtt_passwords" ] || enrol tonne "$(cat "$folder/mqtt_password")"
if [ ! -e "$folder/mqtt_certificate" ]; then
    name=${MQTT_HOST:-$(hostname)}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 825 \
        -subj "/CN=$name" -addext "subjectAltName=DNS:$name" \
        -keyout "$folder/key.made" -out "$folder/certificate.made" 2>/dev/null
    put mqtt_key <"$folder/key.made"
    put mqtt_certificate <"$folder/certificate.made"
    rm "$folder/key.made" "$folder/certificate.made"
fi
echo "secrets are in $folder; give devices $folder/mqtt_certificate, or put your own in its place" >&2
