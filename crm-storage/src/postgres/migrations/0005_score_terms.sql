-- When a score was kept, and what it was made for and what was withheld from the plugin, as the engine wrote it down.
-- Of scores that are older neither was kept.
ALTER TABLE @.score ADD COLUMN recorded_at bigint;
ALTER TABLE @.score ADD COLUMN terms bytea NOT NULL DEFAULT '';
ALTER TABLE @.score ALTER COLUMN terms DROP DEFAULT;
