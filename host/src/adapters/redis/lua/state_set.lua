#!lua
-- Sets a value of an agent's state, within its quota.
-- KEYS: data kept
-- ARGV: 1 time, 2 item, 3 token, 4 agent, 5 key, 6 value, 7 most bytes, 8 most keys
-- Uses: base items held
-- Returns {'ok'} | {'keys'} | {'bytes', bytes that are kept of the others}
-- Errors: STALE
local key, value = ARGV[5], ARGV[6]
check_claim(ARGV[2], ARGV[3], ARGV[4])
local total = tonumber(call('HGET', DATA, 's' .. ARGV[4]) or 0)
local keys = call('HLEN', KEPT)
if call('HEXISTS', KEPT, key) == 1 then
  keys, total = keys - 1, total - #key - call('HSTRLEN', KEPT, key)
end
if keys + 1 > tonumber(ARGV[8]) then return { 'keys' } end
if total + #key + #value > tonumber(ARGV[7]) then return { 'bytes', total } end
call('HSET', KEPT, key, value)
call('HSET', DATA, 's' .. ARGV[4], total + #key + #value)
return { 'ok' }
