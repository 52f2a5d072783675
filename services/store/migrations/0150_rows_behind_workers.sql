-- Workers store first and make rows behind it, as `tonne run` does.  Each makes those of its own
-- partitions: a note says which partition answers for its devices; none where `tonne run` stored.
-- A worker that takes a partition over has what is noted for it wait by device; what the worker before
-- was just making of it fails by that, as its note is gone.
ALTER TABLE underived ADD COLUMN home integer;

-- Has what is noted for some partitions, or for none, wait by device; all that is noted if NULL.
CREATE FUNCTION tonne_fold_underived(homes integer[]) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM underived WHERE homes IS NULL OR home IS NULL OR home = ANY(homes)
        RETURNING devices, first, last
    )
    INSERT INTO remake_request AS r (device_id, from_time, last_time, whole, held, unjudged)
    SELECT d.id, TIMESTAMPTZ 'epoch' + min(d.first) * INTERVAL '1 microsecond',
           TIMESTAMPTZ 'epoch' + max(d.last) * INTERVAL '1 microsecond', false, true, true
    FROM gone g CROSS JOIN LATERAL unnest(g.devices, g.first, g.last) AS d (id, first, last)
    GROUP BY d.id ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET
        from_time = least(r.from_time, excluded.from_time),
        last_time = greatest(r.last_time, excluded.last_time, r.from_time),
        held = true, unjudged = true
$$;
REVOKE ALL ON FUNCTION tonne_fold_underived(integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tonne_fold_underived(integer[]) TO tonne_ingest;
