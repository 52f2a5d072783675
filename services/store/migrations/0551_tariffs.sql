-- What a kilowatt-hour costs and earns at a site, from a local day on, in a currency: money, which is never
-- added to tonnes.  `tariffs` holds the registry's rows; where there are none it is null, so that hashes of
-- sites that had none stay.
SET LOCAL ROLE tonne_owner;

ALTER TABLE site ADD COLUMN tariffs jsonb CHECK (jsonb_typeof(tariffs) = 'array' AND tariffs <> '[]');

CREATE VIEW v_tariff AS
SELECT s.id::text COLLATE "C" AS site, (t.row ->> 'from')::date AS begins,
       coalesce(lead((t.row ->> 'from')::date) OVER (PARTITION BY s.id ORDER BY t.place), 'infinity') AS ends,
       t.row ->> 'currency' AS currency, (t.row ->> 'import_per_kwh')::numeric AS import_per_kwh,
       (t.row ->> 'export_per_kwh')::numeric AS export_per_kwh, (t.row ->> 'feed_in_per_kwh')::numeric AS feed_in_per_kwh
FROM site s CROSS JOIN LATERAL jsonb_array_elements(s.tariffs) WITH ORDINALITY AS t (row, place);
COMMENT ON VIEW v_tariff IS 'Prices of electricity at a site, of local days from `begins` to before `ends`.';

-- One row for each device, day and kind; a day without a price of its kind has none.
CREATE VIEW v_day_money AS
SELECT q.time, q.day, q.timezone, q.device_id, q.site, q.class, p.kind, t.currency, q.energy_kwh, q.energy_kwh * p.price AS amount
FROM v_day_energy_kwh q
JOIN v_tariff t ON t.site = q.site AND q.day >= t.begins AND q.day < t.ends
CROSS JOIN LATERAL (
    SELECT CASE WHEN q.quantity = 'energy_import' THEN 'cost'
                WHEN q.class = 'energy_meter' OR t.feed_in_per_kwh IS NOT NULL THEN 'earned' ELSE 'saved' END AS kind,
           CASE WHEN q.quantity = 'energy_import' THEN t.import_per_kwh
                WHEN q.class = 'energy_meter' THEN t.export_per_kwh
                ELSE coalesce(t.feed_in_per_kwh, t.import_per_kwh) END AS price
) p
WHERE p.price IS NOT NULL;
COMMENT ON VIEW v_day_money IS 'What the metered energy of a device cost, saved or earned on a local day, by the tariffs of its site: `cost` is energy drawn, `earned` is sold, `saved` is made and not bought. Money is never added to tonnes, nor one currency to another.';

GRANT SELECT ON v_tariff, v_day_money TO tonne_mrv, tonne_api, tonne_grafana, tonne_watch;
