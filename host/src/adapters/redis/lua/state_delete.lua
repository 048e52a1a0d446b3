#!lua flags=allow-oom
-- Deletes a value of an agent's state.
-- KEYS: data kept
-- ARGV: 1 time, 2 item, 3 token, 4 agent, 5 key
-- Uses: base items held
-- Returns how many were deleted
-- Errors: STALE
check_claim(ARGV[2], ARGV[3], ARGV[4])
if call('HEXISTS', KEPT, ARGV[5]) == 0 then return 0 end
local total = tonumber(call('HGET', DATA, 's' .. ARGV[4]) or 0)
local left = total - #ARGV[5] - call('HSTRLEN', KEPT, ARGV[5])
call('HDEL', KEPT, ARGV[5])
call('HSET', DATA, 's' .. ARGV[4], math.max(left, 0))
return 1
