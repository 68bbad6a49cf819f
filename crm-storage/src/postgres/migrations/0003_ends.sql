-- A lane ends where its last entry is, which the key of the entries finds; nobody keeps it beside them any more. A head
-- is only a row to lock, where a lock has to be a row. The step fails, and changes nothing, if a lane does not end
-- where its head says: entries were taken away then, and their positions would be given again.
--
-- Who wrote by the former step has to end first, and fails afterwards, since it knows no other way.
LOCK TABLE @.lane_head IN ACCESS EXCLUSIVE MODE;
SELECT set_config('crm.tenant', 'all', true);
SELECT 1 / CASE WHEN EXISTS (
    SELECT 1 FROM @.lane_head h WHERE h.position <> coalesce(
        (SELECT e.position FROM @.entry e WHERE e.lane = h.lane ORDER BY e.position DESC LIMIT 1), 0)
) THEN 0 ELSE 1 END AS every_lane_ends_where_its_head_says;
ALTER TABLE @.lane_head DROP COLUMN position;

-- A statement that was planned while the server knew the entries to fit a few pages reads them all to find an end, and
-- goes on doing so until they are looked at again. So they are looked at when they are more; of a table it never looked at, the
-- server supposes ten pages, and takes the key.
ALTER TABLE @.entry SET (autovacuum_analyze_threshold = 1000);
