#!lua flags=allow-oom
-- Claims ready items: strictly by priority and order, but for the share of lower priorities. An item that turns out not to
-- be ready is moved to where it belongs.
-- KEYS: data index queue_high queue_normal queue_low active failures backoff events wake
-- ARGV: 1 time, 2 host, 3 lease in ms, 4 number of tokens, then the tokens, then the agents that are left to others
-- Uses: base writes signals agents items places
-- Returns {1 if it stopped at its bound of moves, 1 if a list of old holds entries that aren't ours,
--          then for each claim: {token, id, item as JSON, inbox count, attempt, 1 if a probe, ms waited, rank}}
local MOST_MOVES = 256
-- When an agent that another system runs is looked at again, in ms.
local FOREIGN_RETRY = 5000
local host, lease, wanted = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local avoid = {}
for n = 5 + wanted, #ARGV do avoid[ARGV[n]] = true end

local fields = { 'cp' }
for n = 1, wanted do fields[n + 1] = 't' .. ARGV[4 + n] end
local used = call('HMGET', DATA, unpack(fields))
-- Claims in a row for which a lower priority was passed over.
local passed_over = tonumber(used[1] or 0)
local passed_before = passed_over

-- Who else runs an agent, as `work:active` says it.
local others = {}

-- Read together what a walk will ask for.
local function foresee(found)
  local asked, agents_of = {}, {}
  for _, member in ipairs(found) do
    local id, agent = string.sub(member, 18, 53), string.sub(member, 54)
    if not items[id] then
      for _, field in ipairs({ 'm' .. id, 'i' .. id }) do asked[#asked + 1] = field end
    end
    if not met[agent] then asked[#asked + 1] = 'a' .. agent end
    agents_of[#agents_of + 1] = agent
  end
  read_together(asked)
  if #agents_of > 0 then
    local hosts = call('HMGET', ACTIVE, unpack(agents_of))
    for n, agent in ipairs(agents_of) do others[agent] = hosts[n] end
  end
end

local buffers, after = {}, { [0] = '[r0', '[r1', '[r2' }
-- The first ready item of a priority that is not left to others, as its member of the index.
local function head(rank)
  while true do
    local buffer = buffers[rank]
    if not buffer then
      settle_index()
      buffer = call('ZRANGEBYLEX', INDEX, after[rank], '(r' .. rank + 1, 'LIMIT', 0, wanted)
      buffer.at = 1
      foresee(buffer)
      buffers[rank] = buffer
    end
    local member = buffer[buffer.at]
    if not member then
      if buffer.at == 1 then return nil end
      buffers[rank] = nil
    elseif avoid[string.sub(member, 54)] then
      buffer.at, after[rank] = buffer.at + 1, '(' .. member
    else
      return member
    end
  end
end

local function taken(rank, member)
  buffers[rank].at, after[rank] = buffers[rank].at + 1, '(' .. member
end

-- An item became ready: it may stand before what was read.
local function restart(rank)
  if rank then buffers[rank], after[rank] = nil, '[r' .. rank end
end

-- Give up on an entry that Warren can't have written.
local function bury(id, agent, rank, member, body, problem)
  local a = agent_of(agent, 'unreadable')
  local listed = body and call('LPOS', LISTS[rank], body)
  items[id] = nil
  local m = { 'q', agent, listed and 'inbox' or 'direct', rank, tonumber(string.sub(member, 3, 17)), 0, 1, 0, a[A_NAME], 'q', '', 0, 0, now, 0, '',
    '', 0, 0, 0, '', 0, '', 0 }
  finish(id, m, a, 'x', problem)
  tell('item_unreadable', agent, id, '', problem)
  return release_waiting(agent, a)
end

local function activate(id, m, a, token)
  m[WAITED] = math.max(now - m[READY_AT], 0)
  m[PROBE] = breaker_state(a) == 'half' and 1 or 0
  leave(id, m, a)
  m[HOST], m[TOKEN], m[LEASED], m[NOTE], m[BEFORE] = host, token, now + lease, '', a[A_STARTED]
  enter(id, m, a, 'a')
  a[A_STARTED] = now
  save_item(id, m)
  set('t' .. token, id)
end

-- Claim the item of this member, if it is ready; otherwise it has been moved.
local function try(rank, member, token)
  local id, agent = string.sub(member, 18, 53), string.sub(member, 54)
  local good, m = pcall(item_of, id)
  local body = read('i' .. id)
  if not good or not m or not body then
    taken(rank, member)
    restart(bury(id, agent, rank, member, body, 'the record of the item is unreadable'))
    return nil
  end
  if m[STATE] ~= 'q' then
    -- The record is the truth, the index is not.
    taken(rank, member)
    vanish(member)
    return nil
  end
  local a = agent_of(agent, m[NAME])
  if heed_reset(agent, a) then
    for n = 0, 2 do restart(n) end
  end
  local state, note, due, by_breaker = place(a, m)
  if state == 'q' and others[agent] then
    -- An entry that isn't ours: another system runs the agent.
    state, note, due, by_breaker = 'd', 'another system runs the agent', now + FOREIGN_RETRY, 0
  end
  if buffers[rank] then taken(rank, member) end
  if state ~= 'q' then
    put(id, m, a, state, note, due, by_breaker)
    if state ~= 'w' then restart(release_waiting(agent, a)) end
    return nil
  end
  activate(id, m, a, token)
  return { token, id, body, m[COUNT], m[ATTEMPT], m[PROBE], m[WAITED], rank }
end

local moves, exhausted = 0, false
local function next_claim(token)
  while moves < MOST_MOVES do
    local first, lower
    for rank = 0, 2 do
      local member = head(rank)
      if member and not first then
        first = { rank, member }
        if FAIRNESS == 0 then break end
      elseif member and (not lower or string.sub(member, 3, 17) < string.sub(lower[2], 3, 17)) then
        lower = { rank, member }
      end
    end
    if not first then
      exhausted = true
      return nil
    end
    local turn = lower and passed_over + 1 >= FAIRNESS
    local chosen = turn and lower or first
    local claimed = try(chosen[1], chosen[2], token)
    if claimed then
      if lower then passed_over = turn and 0 or passed_over + 1 end
      return claimed
    end
    moves = moves + 1
  end
end

local answer = { 0, 0 }
for n = 1, wanted do
  local token, id = ARGV[4 + n], used[n + 1]
  if id then
    -- A repeat: the same claim, while it lasts.
    local m = #id == 36 and item_of(id)
    if m and m[STATE] == 'a' and m[TOKEN] == token then
      answer[#answer + 1] = { token, id, read('i' .. id) or '', m[COUNT], m[ATTEMPT], m[PROBE], m[WAITED], m[RANK] }
    end
  elseif not exhausted and moves < MOST_MOVES then
    answer[#answer + 1] = next_claim(token)
  end
end
if passed_over ~= passed_before then set('cp', passed_over) end
answer[1] = moves >= MOST_MOVES and 1 or 0
if exhausted then readied = 0 end
save()
if exhausted then
  -- What is left to others is still to be woken for, and may show in the lists of old.
  if next(avoid) == nil then
    -- Wake-ups for what is gone would only wake hosts in vain.
    attempt('DEL', WAKE)
    for rank = 0, 2 do
      if call('LLEN', LISTS[rank]) > 0 then answer[2] = 1 end
    end
  end
end
return answer
