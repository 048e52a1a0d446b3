#!lua flags=allow-oom
-- One item that somebody waits for: its end will be told on the channel named like the data hash, if it has not come yet.
-- KEYS: data
-- ARGV: 1 time, 2 id
-- Uses: base items
-- Returns what `item_reply` says, or nothing
local m = item_of(ARGV[2])
if not m then return {} end
if m[WATCHED] ~= 'W' and m[STATE] ~= 'e' and m[STATE] ~= 'x' then
  m[WATCHED] = 'W'
  known['m' .. ARGV[2]] = item_text(m)
  call('HSET', DATA, 'm' .. ARGV[2], known['m' .. ARGV[2]])
end
return item_reply(ARGV[2])
