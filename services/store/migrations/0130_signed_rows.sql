-- Suppliers, laboratories and makers have keys, and sign their rows.  Empty where nothing is signed,
-- so that the hashes of rows that are sealed stay.
ALTER TABLE enrolled_key DROP CONSTRAINT enrolled_key_role_check;
ALTER TABLE enrolled_key ADD CONSTRAINT enrolled_key_role_check
    CHECK (role IN ('operator', 'verifier', 'log', 'witness', 'third-party'));
ALTER TABLE laboratory_result ADD COLUMN signed text;
