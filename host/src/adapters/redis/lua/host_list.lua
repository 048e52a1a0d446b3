#!lua flags=no-writes
-- All hosts that are kept.
-- KEYS: hosts
-- ARGV: 1 time
-- Uses: base
-- Returns {now, host, what is kept of it, host, …}, as `host_beat` writes it
return { now, unpack(call('HGETALL', HOSTS)) }
