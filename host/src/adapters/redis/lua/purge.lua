#!lua flags=allow-oom
-- Deletes dead items for good.
-- KEYS: data index dead order ages active events
-- ARGV: 1 time, then item ids
-- Uses: base writes items
-- Returns how many were
local purged = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'x' then
    put_in(DEAD, id, false)
    put_in(ORDER, id, false)
    items[id] = false
    unset('i' .. id)
    unset('m' .. id)
    purged = purged + 1
  end
end
flush()
return purged
