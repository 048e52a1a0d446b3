-- Items that one step of an operator's command moves, and ready ones that it looks at.
local MOST_AT_ONCE, MOST_LOOKS = 1000, 5000

-- Hold an agent's waiting and ready items. `from` says where among the ready ones to go on, as <rank><after this number>;
-- it begins with 'w'. Returns where the next step goes on; empty when it is done.
local function hold_some(agent, a, note, from)
  if from == 'w' then
    local waiting = of_class(agent, 'w', MOST_AT_ONCE)
    for _, member in ipairs(waiting) do
      local id = sub(member, -36)
      local m = item_of(id)
      if m then put(id, m, a, 'h', note, 0, 0) else vanish(member) end
    end
    return #waiting == MOST_AT_ONCE and 'w' or '0'
  end
  local rank = tonumber(sub(from, 1, 1))
  local found = call('ZRANGEBYSCORE', READY[rank], '(' .. (tonumber(sub(from, 2)) or 0), '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_LOOKS)
  for n = 1, #found, 2 do
    if sub(found[n], 38) == agent then
      local id = sub(found[n], 1, 36)
      local m = item_of(id)
      if m then put(id, m, a, 'h', note, 0, 0) else put_in(READY[rank], found[n], false) end
    end
  end
  if #found == 2 * MOST_LOOKS then return rank .. found[#found] end
  return rank < 2 and tostring(rank + 1) or ''
end
