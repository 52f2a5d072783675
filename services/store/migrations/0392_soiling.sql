-- Energy that dust took from an inverter's modules over all its days [%], with the interval that holds it with
-- 95 % (mrv/performance/soiling.py), made beside the change from year to year from a year of days on.
-- `soiling_untold` says why there is none: short, gaps or unclear.
SET LOCAL ROLE tonne_owner;
ALTER TABLE pv_trend
    ADD COLUMN soiling_percent double precision,
    ADD COLUMN soiling_low double precision,
    ADD COLUMN soiling_high double precision CHECK (soiling_high >= soiling_low),
    ADD COLUMN soiling_intervals integer,
    ADD COLUMN soiling_untold text,
    ADD CHECK (soiling_percent IS NULL OR soiling_untold IS NULL);
-- made again with it today
UPDATE pv_trend SET made = made - 1;
