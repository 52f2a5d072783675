-- Invoices come over the API as well as by the command: its writes go as tonne_mrv.
SET LOCAL ROLE tonne_owner;

GRANT INSERT ON invoice TO tonne_mrv;
