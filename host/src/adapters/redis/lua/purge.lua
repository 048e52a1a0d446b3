#!lua flags=allow-oom
-- Deletes dead items for good.
-- KEYS: data index
-- ARGV: 1 time, then item ids
-- Uses: base items
-- Returns how many were
local purged = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'x' then
    call('ZREM', INDEX, 'x' .. sorted(m[SEQ]) .. id, 'o' .. sorted(m[SEQ]) .. id)
    call('HDEL', DATA, 'i' .. id, 'm' .. id)
    purged = purged + 1
  end
end
return purged
