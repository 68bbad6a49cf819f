-- When a score was kept, and what it was made for and what was withheld from the plugin, as the engine wrote it down.
-- Of scores that are older neither was kept.
ALTER TABLE crm_score ADD COLUMN recorded_at INTEGER;
ALTER TABLE crm_score ADD COLUMN terms TEXT NOT NULL DEFAULT '';
