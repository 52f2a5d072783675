-- `tonne watch` works as tonne_watch: what it makes for boards of PV is its own to write.
SET LOCAL ROLE tonne_owner;
GRANT INSERT, UPDATE, DELETE ON clear_sky_day, pv_trend TO tonne_watch;
GRANT EXECUTE ON FUNCTION tonne_pv_expected_kwh TO tonne_watch;
