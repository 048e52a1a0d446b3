#!lua flags=no-writes
-- One item.
-- KEYS: data
-- ARGV: 1 time, 2 id
-- Uses: base items
-- Returns what `item_reply` says, or nothing
local m = item_of(ARGV[2])
return m and item_reply(ARGV[2]) or {}
