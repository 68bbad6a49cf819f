-- What a plugin was given for a score, as the engine wrote it down. Of scores that are older it was not kept.
ALTER TABLE crm_score ADD COLUMN inputs BLOB NOT NULL DEFAULT x'';
