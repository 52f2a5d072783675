"""The commands of `tonne`, under the headings of its help, in the order of work."""

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a command lives, below `services.cli`, and what it does in one line."""

    where: str
    does: str


SECTIONS = {
    "First steps": {
        "demo": Entry("local.demo:demo", "Complete demonstration, from meter to verified tonne."),
        "local": Entry("local.servers:local", "Start and stop local servers."),
        "doctor": Entry("local.doctor:doctor", "What is missing or misconfigured, and the fix."),
        "migrate": Entry("data.columnstore:migrate", "Bring the database schema up to date."),
        "simulate": Entry("local.simulate:simulate", "Field devices, made up or replayed."),
    },
    "Registry": {
        "registry": Entry("registry.registry:registry", "Sites, devices and projects."),
        "est": Entry(
            "registry.credentials:est", "Devices fetch their certificates themselves (EST)."
        ),
        "devices": Entry(
            "registry.devices:devices", "Known and unknown devices, and what arrives."
        ),
        "sewer": Entry("registry.sewer:sewer", "Sewers: pipes, manholes, their history."),
        "plan": Entry("registry.plan:plan", "A project's monitoring plan and its diagram."),
        "invoice": Entry("registry.invoice:invoice", "Invoices used to cross-check meters."),
        "factors": Entry("registry.factors:factors", "Published factors, and what they change."),
        "programme": Entry("registry.programme:programme", "Targets and progress by action."),
    },
    "Pipeline": {
        "run": Entry("pipeline.run:run", "The pipeline: MQTT to TimescaleDB."),
        "edge": Entry("pipeline.edge:edge", "A gateway in the field: records and forwards."),
        "bridge": Entry("pipeline.topics:bridge", "Past one machine: MQTT to Kafka."),
        "worker": Entry("pipeline.worker:worker", "Past one machine: Kafka to TimescaleDB."),
        "topics": Entry("pipeline.topics:topics", "The Kafka topic of bridges and workers."),
        "broker": Entry("pipeline.broker:broker", "A broker's access rules for devices."),
    },
    "Data": {
        "intervals": Entry("data.quality:intervals", "Stored quantities and emissions."),
        "indicators": Entry("data.quality:indicators", "Stored air, noise and water."),
        "quality": Entry("data.quality:quality", "What is unusual in stored readings."),
        "signed": Entry("statements.signed:signed", "What meters signed; suppliers sign rows."),
        "deadletter": Entry("data.dead_letters:deadletter", "What was refused, and why."),
        "rebuild": Entry("data.columnstore:rebuild", "Derived rows again from raw readings."),
        "columnstore": Entry("data.columnstore:columnstore", "Old chunks compressed, or not."),
        "archive": Entry("data.archive:archive", "Sealed days to Parquet files, and back."),
    },
    "Statements and verification": {
        "period": Entry("statements.period:period", "Close a monitoring period."),
        "statement": Entry("statements.statement:statement", "The life of a statement."),
        "submission": Entry(
            "statements.period:submission", "What a programme's checks would find."
        ),
        "verify": Entry("statements.verify:verify", "Check a statement or evidence pack, offline."),
        "export": Entry("statements.export:export", "Files for registries and ministries."),
        "units": Entry("statements.units:units", "Units after issue: ranges and their life."),
        "certificates": Entry(
            "statements.energy_certificates:certificates", "Certificates of energy, never twice."
        ),
        "log": Entry("statements.log:log", "Seal what was measured, and audit the seals."),
        "timestamp": Entry(
            "statements.timestamp:timestamp", "Time stamps by authorities outside (RFC 3161)."
        ),
        "keys": Entry("statements.keys:keys", "Signing keys of operator and verifier."),
        "trust": Entry("statements.trust:trust", "Whom a programme trusts, signed and versioned."),
    },
    "Operation": {
        "alarms": Entry("alarms:alarms", "What is wrong in the field, and who took it up."),
        "webhooks": Entry("webhooks:webhooks", "Tell other systems what happens, signed."),
        "api": Entry("api:api", "The REST API for auditors, and its keys."),
        "signer": Entry("pipeline.watch:signer", "Holds the log's key, and does what needs it."),
        "witness": Entry("statements.timestamp:witness", "Cosign logs of others that only grew."),
        "watch": Entry("pipeline.watch:watch", "Gauges and audits of the database, for alerts."),
        "words": Entry("words:words", "Languages of pages and reports: begin and check one."),
    },
    "Calculate": {
        "rules": Entry("calculate.rules:rules_", "The rules that decide a tonne, explained."),
        "evaluate": Entry("calculate.evaluate:evaluate", "One methodology on given inputs."),
        "estimate": Entry("calculate.estimate:estimate", "A planned system, before its meters."),
        "indicator": Entry(
            "calculate.evaluate:indicator", "Air, water and noise values; no tonnes."
        ),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
