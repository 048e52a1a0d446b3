#!lua flags=allow-oom
-- Deletes dead items for good.
-- KEYS: data index dead order ages active events
-- ARGV: 1 time, then item ids
-- Uses: base writes items order
-- Returns how many were
local purged, left = 0, {}
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'x' then
    put_in(DEAD, id, false)
    items[id], left[id] = false, m[SEQ]
    unset('i' .. id)
    unset('m' .. id)
    purged = purged + 1
  end
end
leave_order(left)
flush()
return purged
