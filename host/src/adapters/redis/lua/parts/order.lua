-- The order of enqueueing, in which items are listed: `order` has one member for all that one call has added, <id><id>…,
-- and its score is the number of the first of them. An item stands where the number of its record says; the member goes
-- when the last of its items has gone.

-- What this script adds, and the number of the first.
local added_ids, added_from = {}, nil

-- The next number, for this item.
local last_seq
local function next_seq(id)
  last_seq = (last_seq or tonumber(read('cs') or 0)) + 1
  added_from = added_from or last_seq
  added_ids[#added_ids + 1] = id
  -- Written once, with the last of them.
  counts.cs = (counts.cs or 0) + 1
  return last_seq
end

-- Whether nobody stands in this member any more.
local function is_left(member, first)
  for at = 0, #member / 36 - 1 do
    local m = item_of(sub(member, 36 * at + 1, 36 * at + 36))
    if m and m[SEQ] == first + at then return false end
  end
  return true
end

-- These items, id → number, are in their places no longer: they are deleted, or have got other numbers.
local function leave_order(left)
  local looked_at = {}
  for id, seq in pairs(left) do
    if not looked_at[id] then
      local found = call('ZREVRANGEBYSCORE', ORDER, seq, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
      local member = found[1] or ''
      sure[ORDER] = true
      for at = 1, #member, 36 do looked_at[sub(member, at, at + 35)] = true end
      if member ~= '' and is_left(member, tonumber(found[2])) then put_in(ORDER, member, false) end
    end
  end
end
