#!lua flags=no-writes
-- Who leads.
-- KEYS: leader lease
-- ARGV: 1 time
-- Uses: base leader
-- Returns {} if nobody does, else as `leader_acquire` has it after `held`
local current = leader()
if current then return leader_reply(current) end
return {}
