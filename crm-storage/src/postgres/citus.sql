-- Spreads a schema over a Citus cluster by lane, which every key begins with; run it once, on the
-- coordinator, before there are many rows. All rows of a lane lie together on one node. The history of the
-- schema stays on the coordinator. The store is then opened with the sharded dialect.
SELECT create_distributed_table('@.lane_head', 'lane', colocate_with => 'none');
SELECT create_distributed_table('@.consumer', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.tenant', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.definition', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.customer', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.entry', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.score', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.alarm', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.claim', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.counter', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.request', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.outbox', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.personal', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.person_key', 'lane', colocate_with => '@.lane_head');
SELECT create_distributed_table('@.token', 'lane', colocate_with => '@.lane_head');
