#!lua
-- The generation number of a digest: the one it was given before, else the plugin's next.
-- KEYS: data
-- ARGV: 1 time, 2 plugin, 3 digest
-- Uses: base
-- Returns the number
local field = 'g' .. ARGV[2] .. '\n' .. ARGV[3]
local known = call('HGET', DATA, field)
if known then return tonumber(known) end
local number = call('HINCRBY', DATA, 'G' .. ARGV[2], 1)
call('HSET', DATA, field, number)
return number
