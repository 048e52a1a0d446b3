#!lua flags=no-writes
-- Whether an agent that is not known yet will be paused.
-- KEYS: data index
-- ARGV: 1 time, 2 name
-- Uses: base
-- Returns 1 or 0
return call('ZSCORE', INDEX, 'p' .. ARGV[2]) and 1 or 0
