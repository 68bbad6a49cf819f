-- What a plugin was given for a score, as the engine wrote it down. Of scores that are older it was not kept.
ALTER TABLE @.score ADD COLUMN inputs bytea NOT NULL DEFAULT '';
ALTER TABLE @.score ALTER COLUMN inputs DROP DEFAULT;
