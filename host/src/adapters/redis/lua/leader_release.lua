#!lua flags=allow-oom
-- Gives the lease up, if it is this holder's in this term, and tells those who wait for it. The vacancy begins now.
-- KEYS: leader lease
-- ARGV: 1 time, 2 holder, 3 term
-- Uses: base
-- Returns 1 if it was, else 0
local kept = call('HMGET', LEADER, 'holder', 'term', 'until')
if kept[1] ~= ARGV[2] or kept[2] ~= ARGV[3] or tonumber(kept[3]) <= now then return 0 end
local seen = call('GET', LEASE)
call('HSET', LEADER, 'until', now)
if seen == ARGV[2] then call('DEL', LEASE) end
attempt('PUBLISH', LEADER, 'vacant')
return 1
