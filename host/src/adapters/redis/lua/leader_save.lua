#!lua
-- Keeps the leader's state, with its checksum and the term that wrote it. Leader-only.
-- KEYS: leader lease
-- ARGV: 1 time, 2 holder, 3 term, 4 state, 5 its SHA-256
-- Uses: base fence
-- Errors: FENCED
check_fence(ARGV[2], ARGV[3])
call('HSET', LEADER, 'state', ARGV[4], 'state_term', ARGV[3], 'state_sha256', ARGV[5])
return 1
