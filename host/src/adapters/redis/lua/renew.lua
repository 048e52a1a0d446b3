#!lua flags=allow-oom
-- Extends leases to now + lease. A claim lasts until it is recovered: while nobody else could take the item, going on is safe.
-- KEYS: data index active events
-- ARGV: 1 time, 2 lease in ms, then for each claim: item, token, generation or empty
-- Uses: base writes items
-- Returns for each 1 if it is held, else 0
local until_ = now + tonumber(ARGV[2])
local held, asked = {}, {}
for at = 3, #ARGV, 3 do asked[#asked + 1] = 'm' .. ARGV[at] end
read_together(asked)
for at = 3, #ARGV, 3 do
  local id = ARGV[at]
  local m = item_of(id)
  if m and m[STATE] == 'a' and m[TOKEN] == ARGV[at + 1] then
    vanish('l' .. sorted(m[LEASED]) .. id)
    m[LEASED] = until_
    if ARGV[at + 2] ~= '' then m[GENERATION] = ARGV[at + 2] end
    stand('l' .. sorted(until_) .. id)
    save_item(id, m)
    held[#held + 1] = 1
  else
    held[#held + 1] = 0
  end
end
save_items()
flush()
return held
