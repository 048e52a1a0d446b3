-- Adding an item: merged into another, or put where it belongs.

-- Merge into an item of the agent and type, if there is one. Of several the one with the largest count is it, so that
-- news is told only for what none of them covers.
local function merge(a, m)
  local into, target
  for _, id in ipairs(open_items(a, m)) do
    local other = item_of(id)
    if other and (not target or other[COUNT] > target[COUNT]) then into, target = id, other end
  end
  if not target and a[A_ACTIVE] ~= '' then
    local active = item_of(a[A_ACTIVE])
    -- More than the active one was made for: news, which waits behind it.
    if active and active[TYPE] == m[TYPE] and m[COUNT] <= active[COUNT] then into, target = a[A_ACTIVE], active end
  end
  if not target then return nil end
  local news = m[COUNT] > target[COUNT]
  if news then
    target[COUNT] = m[COUNT]
    save_item(into, target)
  end
  return { 'merged', into, news and 1 or 0 }
end

-- A new item's record, before it is anywhere.
local function fresh_item(agent, name, type_, rank, count, try, interval)
  return { '', '', 0, 0, 0, '', '', 0, '', 0, 0, 0, 0, '-', agent, name, type_, rank, interval, count, try, 0, now, '', '' }
end

-- Put a new item where it belongs, at the tail of its queue. Returns its state.
local function insert(id, a, m, body)
  local state, note, due, by_breaker = place(a, m)
  m[SEQ] = next_seq(id)
  m[FIRST], m[NOTE], m[DUE], m[BY_BREAKER] = state, note, due, by_breaker
  set('i' .. id, body)
  enter(id, m, a, state, 'LPUSH')
  save_item(id, m)
  return state
end
