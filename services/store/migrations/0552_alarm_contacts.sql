-- Alarms to people: a contact is a webhook whose address is a person's (`mailto:`), or a tag of the
-- operator's Apprise configuration (`apprise:`), so that what is sent, tried again or dead is seen in one
-- place.  A silence holds messages back and hides no alarm.
SET LOCAL ROLE tonne_owner;

CREATE TABLE alarm_contact (
    webhook_id text COLLATE "C" PRIMARY KEY REFERENCES webhook,
    language   text NOT NULL CHECK (language ~ '^[a-z]{2,3}(-[A-Za-z0-9]+)*$'),
    severities text[] NOT NULL CHECK (cardinality(severities) > 0 AND severities <@ ARRAY['critical', 'major', 'minor'])
);

-- Who is on duty; a contact without a row is always reached.
CREATE TABLE alarm_duty (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text COLLATE "C" NOT NULL REFERENCES alarm_contact,
    begins     timestamptz NOT NULL,
    ends       timestamptz NOT NULL CHECK (ends > begins),
    author     text NOT NULL CHECK (author <> '')
);
CREATE INDEX alarm_duty_contact ON alarm_duty (webhook_id, ends);

-- `subject` is a device, gateway, project or site; null is all.
CREATE TABLE alarm_silence (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text COLLATE "C",
    begins  timestamptz NOT NULL DEFAULT now(),
    ends    timestamptz NOT NULL CHECK (ends > begins AND ends <= begins + INTERVAL '31 days'),
    reason  text NOT NULL CHECK (length(reason) BETWEEN 3 AND 1000),
    author  text NOT NULL CHECK (author <> ''),
    created timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alarm_silence_ends ON alarm_silence (ends);

GRANT SELECT ON alarm_contact, alarm_duty, alarm_silence TO tonne_mrv, tonne_api, tonne_watch, tonne_events;
GRANT SELECT ON alarm TO tonne_events;
GRANT INSERT ON alarm_contact, alarm_duty, alarm_silence TO tonne_mrv, tonne_api;
GRANT UPDATE (ends) ON alarm_duty, alarm_silence TO tonne_mrv, tonne_api;
