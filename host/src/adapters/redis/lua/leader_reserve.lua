#!lua
-- For a while, only one host may acquire. Leader-only.
-- KEYS: leader lease
-- ARGV: 1 time, 2 holder, 3 term, 4 host, 5 for how many ms
-- Uses: base fence
-- Errors: FENCED
check_fence(ARGV[2], ARGV[3])
call('HSET', LEADER, 'reserved_host', ARGV[4], 'reserved_until', now + tonumber(ARGV[5]))
return 1
