#!lua flags=allow-oom
-- Extends the lease, if it is this holder's in this term.
-- KEYS: leader lease
-- ARGV: 1 time, 2 holder, 3 term, 4 lease in ms
-- Uses: base fence
-- Errors: FENCED
check_fence(ARGV[2], ARGV[3])
call('HSET', LEADER, 'until', now + tonumber(ARGV[4]))
call('PEXPIRE', LEASE, ARGV[4])
return 1
