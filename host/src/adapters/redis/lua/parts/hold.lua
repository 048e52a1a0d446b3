-- Items that one step of an operator's command moves.
local MOST_AT_ONCE = 200

-- Hold an agent's ready and waiting items. How many were.
local function hold_some(agent, a, note)
  local moved = 0
  for _, class in ipairs({ 'q', 'w' }) do
    for _, member in ipairs(of_class(agent, class, MOST_AT_ONCE - moved)) do
      local id = string.sub(member, -36)
      local m = item_of(id)
      if m then put(id, m, a, 'h', note, 0, 0) else vanish(member) end
      moved = moved + 1
    end
  end
  -- Inbox and discovery items that are ready, the agent names itself.
  for _, list in ipairs({ a[A_INBOX], a[A_DISCOVERY] }) do
    for _, id in ipairs({ unpack(list) }) do
      local m = item_of(id)
      if m and m[STATE] == 'q' and moved < MOST_AT_ONCE then
        put(id, m, a, 'h', note, 0, 0)
        moved = moved + 1
      end
    end
  end
  return moved
end
