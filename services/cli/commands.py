"""Table of all `tonne` commands, grouped by the headings of `tonne --help`."""

from typing import NamedTuple


class Entry(NamedTuple):
    """Module path of a command below `services.cli`, and its one-line description."""

    where: str
    does: str


SECTIONS = {
    "First steps": {
        "demo": Entry("local.demo:demo", "Complete demonstration, from meter to verified tonne."),
        "local": Entry("local.servers:local", "Start and stop local servers."),
        "doctor": Entry(
            "local.doctor:doctor", "Check the installation and explain how to correct it."
        ),
        "migrate": Entry("data.columnstore:migrate", "Bring the database schema up to date."),
        "simulate": Entry("local.simulate:simulate", "Simulated or replayed field devices."),
    },
    "Registry": {
        "registry": Entry("registry.registry:registry", "Sites, devices and projects."),
        "est": Entry(
            "registry.credentials:est", "Server that issues certificates to devices (EST)."
        ),
        "devices": Entry(
            "registry.devices:devices", "Registered and unknown devices, and their data."
        ),
        "sewer": Entry("registry.sewer:sewer", "Sewers: pipes, manholes and their history."),
        "plan": Entry("registry.plan:plan", "A project's monitoring plan and its diagram."),
        "invoice": Entry("registry.plan:invoice", "Invoices used to cross-check meters."),
        "factors": Entry(
            "registry.factors:factors", "Published factors, and the effect of changes."
        ),
        "programme": Entry("registry.programme:programme", "Targets and progress by action."),
    },
    "Pipeline": {
        "run": Entry("pipeline.run:run", "The pipeline: MQTT to TimescaleDB."),
        "edge": Entry("pipeline.edge:edge", "A gateway in the field: stores and forwards."),
        "bridge": Entry("pipeline.topics:bridge", "MQTT to Kafka, for more than one machine."),
        "worker": Entry(
            "pipeline.worker:worker", "Kafka to TimescaleDB, for more than one machine."
        ),
        "topics": Entry("pipeline.topics:topics", "The Kafka topic of bridges and workers."),
        "broker": Entry("pipeline.broker:broker", "Access rules of a broker, for devices."),
    },
    "Data": {
        "intervals": Entry("data.quality:intervals", "Stored quantities and emissions."),
        "indicators": Entry("data.quality:indicators", "Stored air, noise and water."),
        "quality": Entry("data.quality:quality", "Unusual values in stored readings."),
        "signed": Entry(
            "statements.signed:signed", "Values signed by meters; rows signed by suppliers."
        ),
        "deadletter": Entry("data.dead_letters:deadletter", "Rejected messages and their reasons."),
        "rebuild": Entry("data.columnstore:rebuild", "Recalculate derived rows from raw readings."),
        "columnstore": Entry(
            "data.columnstore:columnstore", "Compress old chunks of the database."
        ),
        "archive": Entry(
            "data.archive:archive", "Archive sealed days as Parquet files, and restore."
        ),
    },
    "Statements and verification": {
        "period": Entry("statements.period:period", "Close a monitoring period."),
        "statement": Entry(
            "statements.statement:statement", "Sign, verify, issue and export statements."
        ),
        "submission": Entry(
            "statements.period:submission", "Completeness check before submission."
        ),
        "verify": Entry("statements.verify:verify", "Check a statement or evidence pack, offline."),
        "export": Entry("statements.export:export", "Files for registries and authorities."),
        "units": Entry("statements.units:units", "Units after issue: transfers, cancellations."),
        "certificates": Entry(
            "statements.units:certificates", "Certificates of energy, without double claiming."
        ),
        "log": Entry("statements.log:log", "Seal each day in the log, and audit the seals."),
        "timestamp": Entry(
            "statements.timestamp:timestamp", "Time stamps of external authorities (RFC 3161)."
        ),
        "keys": Entry("statements.keys:keys", "Signing keys of operator and verifier."),
        "trust": Entry(
            "statements.trust:trust", "Trusted keys of a programme, signed and versioned."
        ),
    },
    "Operation": {
        "alarms": Entry("alarms:alarms", "Alarms of the field, and their acknowledgement."),
        "webhooks": Entry("webhooks:webhooks", "Signed messages to other systems."),
        "api": Entry("api:api", "The REST API for auditors, and its keys."),
        "signer": Entry("pipeline.run:signer", "Signs with the log's key on request."),
        "witness": Entry(
            "statements.timestamp:witness", "Cosign the logs of other operators as a witness."
        ),
        "watch": Entry("pipeline.run:watch", "Metrics and audits of the database, for alerts."),
        "words": Entry("words:words", "Languages of pages and reports: add and check."),
    },
    "Calculate": {
        "rules": Entry(
            "calculate.rules:rules_", "Rules applied when a period is closed, explained."
        ),
        "evaluate": Entry(
            "calculate.evaluate:evaluate", "Calculate one methodology from given inputs."
        ),
        "estimate": Entry(
            "calculate.evaluate:estimate", "Estimate a planned system before it has meters."
        ),
        "indicator": Entry(
            "calculate.evaluate:indicator", "Air, water and noise indicators; no tonnes."
        ),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
