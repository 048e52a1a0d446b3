#!lua flags=allow-oom
-- Deletes dead items for good.
-- KEYS: data index active events
-- ARGV: 1 time, then item ids
-- Uses: base writes items
-- Returns how many were
local purged = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'x' then
    vanish('x' .. sorted(m[SEQ]) .. id, 'o' .. sorted(m[SEQ]) .. id)
    items[id] = false
    call('HDEL', DATA, 'i' .. id, 'm' .. id)
    purged = purged + 1
  end
end
flush()
return purged
