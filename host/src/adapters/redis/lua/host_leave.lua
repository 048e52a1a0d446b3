#!lua flags=allow-oom
-- Notes that a host has left, with what it said last: under `left:` and its name, so that a beat need not look.
-- KEYS: hosts
-- ARGV: 1 time, 2 host
-- Uses: base
-- Returns 1, or 0 if it had left already or is not known
local kept = call('HGET', HOSTS, ARGV[2])
if not kept then return 0 end
local words = string.match(kept, '^%a %d+ (%d+ .*)$') or ('0 ' .. kept)
call('HSET', HOSTS, 'left:' .. ARGV[2], string.format('l %.0f ', now) .. words)
call('HDEL', HOSTS, ARGV[2])
return 1
