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
word | put signer_password
word | put watch_password
word | put est_password
word | put dashboards_password
word | put archive_password
word | put grafana_password
for user in broker admin bridge worker; do word | put "kafka_${user}_password"; done
host="timescaledb:5432/tonne"
printf 'postgresql://tonne:%s@%s' "$(cat "$folder/owner_password")" "$host" | put owner_url
printf 'postgresql://tonne_pipeline:%s@%s' "$(cat "$folder/pipeline_password")" "$host" | put pipeline_url
printf 'postgresql://tonne_service:%s@%s' "$(cat "$folder/api_password")" "$host" | put api_url
printf 'postgresql://tonne_signer:%s@%s' "$(cat "$folder/signer_password")" "$host" | put signer_url
printf 'postgresql://tonne_watcher:%s@%s' "$(cat "$folder/watch_password")" "$host" | put watch_url
printf 'postgresql://tonne_enroller:%s@%s' "$(cat "$folder/est_password")" "$host" | put est_url
printf 'postgresql://tonne_archivist:%s@%s' "$(cat "$folder/archive_password")" "$host" | put archive_url

# Kafka's own authority, and a certificate for its three brokers; the authority's key is not kept,
# so to renew them (after ten years, or a loss) remove the three files and run this again.
if [ ! -e "$folder/kafka_broker_pem" ] || [ ! -e "$folder/kafka_ca" ]; then
    rm -f "$folder/kafka_broker_pem" "$folder/kafka_ca"
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj /CN=tonne-kafka-authority -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$made/ca.key" -out "$made/ca.crt" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj /CN=tonne-kafka -keyout "$made/key" -out "$made/csr" 2>/dev/null
    names=''
    for host in ${KAFKA_HOSTS:-kafka kafka-1 kafka-2 kafka-3}; do names="$names${names:+,}DNS:$host"; done
    # what Python from 3.13 on asks of certificates (RFC 5280): who may sign, and by which key
    printf '%s\n' "subjectAltName=$names" extendedKeyUsage=serverAuth,clientAuth \
        keyUsage=critical,digitalSignature basicConstraints=critical,CA:FALSE \
        subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >"$made/names"
    openssl x509 -req -in "$made/csr" -CA "$made/ca.crt" -CAkey "$made/ca.key" -CAcreateserial \
        -days 3650 -extfile "$made/names" -out "$made/crt" 2>/dev/null
    cat "$made/key" "$made/crt" "$made/ca.crt" | put kafka_broker_pem
    put kafka_ca <"$made/ca.crt"
fi
hosts="kafka-1:9092,kafka-2:9092,kafka-3:9092"
printf 'kafkas://broker:%s@%s' "$(cat "$folder/kafka_broker_password")" "$hosts" | put kafka_broker_url
for user in admin bridge worker; do
    printf 'kafkas://tonne-%s:%s@%s' "$user" "$(cat "$folder/kafka_${user}_password")" "$hosts" | put "kafka_${user}_url"
done
echo "secrets are in $folder" >&2
