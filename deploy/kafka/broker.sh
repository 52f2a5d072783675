#!/bin/sh
# One of the Kafka brokers of compose.kafka.yaml, which is a controller too: TLS for everybody,
# a user and password (SCRAM) for each client, and an access list that nobody is outside of.
# What it needs is made by deploy/secrets.sh; `tonne topics access --apply` sets the list.
#
#   NODE=1 HOSTS="kafka-1 kafka-2 kafka-3" sh broker.sh
set -eu
kafka=${KAFKA_FOLDER:-/opt/kafka}
secrets=${SECRETS:-/run/secrets}
data=${DATA:-/var/lib/kafka/data}
port=${PORT:-9092} controller=${CONTROLLER_PORT:-9093} step=${PORT_STEP:-0}
settings=${SETTINGS:-/tmp/kafka} copies=${COPIES:-3} in_step=${IN_STEP:-2}
umask 077
mkdir -p "$settings"

word() { cat "$secrets/kafka_$1_password"; }

voters='' node=0
for host in $HOSTS; do
    node=$((node + 1))
    voters="$voters${voters:+,}$node@$host:$((controller + step * (node - 1)))"
    [ "$node" = "$NODE" ] && here=$host
done
port=$((port + step * (NODE - 1))) controller=$((controller + step * (NODE - 1)))
login="org.apache.kafka.common.security.scram.ScramLoginModule required username=\"broker\" password=\"$(word broker)\";"

cat >"$settings/server.properties" <<END
process.roles=broker,controller
node.id=$NODE
controller.quorum.voters=$voters
listeners=CLIENTS://:$port,CONTROLLER://:$controller
advertised.listeners=CLIENTS://$here:$port,CONTROLLER://$here:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SSL
log.dirs=$data

# who speaks to a controller shows the brokers' certificate; clients show who they are by password
ssl.keystore.type=PEM
ssl.keystore.location=$secrets/kafka_broker_pem
ssl.truststore.type=PEM
ssl.truststore.location=$secrets/kafka_ca
listener.name.controller.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=$login
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:CN=tonne-kafka
allow.everyone.if.no.acl.found=false

# \`tonne topics apply\` makes topics; acknowledged means on two of three
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$in_step
unclean.leader.election.enable=false
offsets.topic.replication.factor=$copies
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_step
# three brokers on one machine lose their power together: write through.  A record holds
# hundreds of messages, so it costs little; on three machines leave it out.
log.flush.interval.messages=1
END
cat >"$settings/client.properties" <<END
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$login
ssl.truststore.type=PEM
ssl.truststore.location=$secrets/kafka_ca
END

if [ ! -e "$data/meta.properties" ]; then
    set --
    for user in broker:broker tonne-bridge:bridge tonne-worker:worker tonne-admin:admin; do
        set -- "$@" --add-scram "SCRAM-SHA-512=[name=${user%%:*},password=$(word "${user##*:}")]"
    done
    "$kafka/bin/kafka-storage.sh" format -t "$CLUSTER_ID" -c "$settings/server.properties" "$@"
fi
exec "$kafka/bin/kafka-server-start.sh" "$settings/server.properties"
