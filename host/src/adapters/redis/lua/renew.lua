#!lua flags=allow-oom
-- Extends leases to now + lease. A claim lasts until it is recovered: while nobody else could take the item, going on is safe.
-- KEYS: data leases
-- ARGV: 1 time, 2 lease in ms, then for each claim: item, token, generation or empty
-- Uses: base items
-- Returns for each 1 if it is held, else 0
local lease_end = sorted(now + tonumber(ARGV[2]))
local held, asked, values, scores = {}, {}, {}, {}
for at = 3, #ARGV, 3 do asked[#asked + 1] = 'm' .. ARGV[at] end
read_together(asked)
for at = 3, #ARGV, 3 do
  local field, generation = 'm' .. ARGV[at], ARGV[at + 2]
  local text = known[field]
  if text and sub(text, 1, 38) == 'a\t' .. ARGV[at + 1] then
    text = sub(text, 1, 39) .. lease_end .. sub(text, 55)
    if generation ~= '' and not find(text, '\t' .. generation .. '\t', 55, true) then
      local m = item_of_text(text) or unreadable(field)
      m[GENERATION] = generation
      text = item_text(m)
    end
    known[field] = text
    local n = #values
    values[n + 1], values[n + 2], scores[n + 1], scores[n + 2] = field, text, lease_end, ARGV[at]
    held[#held + 1] = 1
  else
    held[#held + 1] = 0
  end
end
if #values > 0 then
  -- A key of the wrong type refuses the first of both.
  call('ZADD', LEASES, unpack(scores))
  call('HSET', DATA, unpack(values))
end
return held
