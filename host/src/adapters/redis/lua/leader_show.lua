#!lua flags=no-writes
-- Who leads.
-- KEYS: leader lease
-- ARGV: 1 time
-- Uses: base leader
-- Returns {ms until the lease can be free for everybody} and, if somebody leads, as `leader_acquire` has it after `held`
local current = leader()
local reserved = tonumber(call('HGET', LEADER, 'reserved_until') or 0) - now
local left = math.max(current and current.remaining or 0, reserved, 0)
if current then return { left, unpack(leader_reply(current)) } end
return { left }
