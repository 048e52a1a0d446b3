#!lua flags=allow-oom
-- Claims ready items: strictly by priority and order, but for the share of lower priorities. An item that turns out not to
-- be ready is moved to where it belongs.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 host, 3 lease in ms, 4 number of tokens, then the tokens, then the agents that are left to others
-- Uses: idle base ranks plain_claimed plain_claim writes signals agents items order places
-- Returns nothing if there is nothing at all; otherwise
-- {1 if it stopped at its bound of moves, 1 if a list of old holds entries that aren't ours,
--          then for each claim in turn: id, item as JSON, what is known of it as text (see `parts/items.lua`)}
local MOST_MOVES = 256
-- When an agent that another system runs is looked at again, in ms.
local FOREIGN_RETRY = 5000
local avoid = {}
for n = 5 + wanted, #ARGV do avoid[ARGV[n]] = true end

read_together({ 'cp', 'cd0', 'cd1', 'cd2', record_of_call })
local claimed_before, claimed_now = known[record_of_call] or '', {}
-- Claims in a row for which a lower priority was passed over.
local passed_over = tonumber(known.cp or 0)
local passed_before = passed_over
local answer = { 0, 0 }

-- What each token has claimed in an earlier call, the last of several.
local earlier = {}
for at = 1, #claimed_before, 72 do earlier[sub(claimed_before, at, at + 35)] = sub(claimed_before, at + 36, at + 71) end

local function note_claim(token, id)
  local n = #claimed_now
  claimed_now[n + 1], claimed_now[n + 2] = token, id
end

local function tell_claim(id)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = id, read('i' .. id) or '', known['m' .. id]
end

-- Who else runs an agent, as `work:active` says it; and whether there is anybody.
local others = {}
local strangers

-- Read together what a walk will ask for: id and agent of each, and its fields of the data hash, three a member.
local function foresee(buffer)
  local ids, agents, asked, missing = {}, {}, {}, {}
  for n = 1, #buffer do
    local id, agent = sub(buffer[n], 1, 36), sub(buffer[n], 38)
    local record, body, standing = 'm' .. id, 'i' .. id, 'a' .. agent
    local at, k = 3 * n, #missing
    ids[n], agents[n], asked[at - 2], asked[at - 1], asked[at] = id, agent, record, body, standing
    missing[k + 1] = body
    -- What this call has written already, it knows.
    if known[record] == nil then missing[k + 2], k = record, k + 1 end
    if known[standing] == nil then missing[k + 2] = standing end
  end
  buffer.ids, buffer.agents, buffer.asked = ids, agents, asked
  if #agents == 0 then return end
  read_together(missing)
  -- As many entries as claims: they are ours.
  if strangers == nil then
    strangers = call('HLEN', ACTIVE) ~= call('ZCARD', LEASES)
    sure[ACTIVE], sure[LEASES] = true, true
  end
  if not strangers then return end
  local hosts = call('HMGET', ACTIVE, unpack(agents))
  for n = 1, #agents do
    if hosts[n] and not acting[agents[n]] then others[agents[n]] = hosts[n] end
  end
end

local buffers, at, walked, stale, most = {}, {}, { [0] = 0, 0, 0 }, false, wanted
-- The head has been seen to: it is being removed, or left to others.
local function taken(rank) at[rank], walked[rank] = at[rank] + 1, walked[rank] + 1 end

-- The first ready item of a priority that is not left to others, as its member.
local function head(rank)
  while true do
    local buffer = buffers[rank]
    if not buffer then
      if stale then
        flush_sets()
        stale, walked = false, { [0] = 0, 0, 0 }
      end
      -- What was walked is still there, until it is written that it is not.
      buffer = call('ZRANGE', READY[rank], walked[rank], walked[rank] + most - 1)
      sure[READY[rank]] = true
      at[rank], buffer.last = 1, #buffer < most
      foresee(buffer)
      buffers[rank] = buffer
    end
    local member = buffer[at[rank]]
    if not member then
      if buffer.last then return nil end
      buffers[rank], most = nil, math.min(most * 4, 128)
    elseif avoid[buffer.agents[at[rank]]] then
      taken(rank)
    else
      return member
    end
  end
end

-- An item became ready: it may stand before what was read.
local function restart(rank)
  if rank then buffers, stale = {}, true end
end

-- Give up on an entry that Warren can't have written.
local function bury(id, agent, rank, member, seq, body, problem)
  local a = agent_of(agent, 'unreadable')
  local flag = sub(member, 37, 37)
  items[id] = nil
  local m = { 'q', '', 0, 0, 0, '', '', 0, '', 0, 0, 0, 0, '-', agent, a[A_NAME], flag == 'D' and 'direct' or 'inbox', rank, flag == 'X' and 1 or 0, 0,
    1, seq, now, 'q', '' }
  finish(id, m, a, 'x', problem)
  tell('item_unreadable', agent, id, '', problem)
  return release_waiting(agent, a)
end

-- The common case: a plain item of a plain agent.
local function claim_plain(rank, member, id, agent, token)
  local asked, place, flag = buffers[rank].asked, 3 * at[rank], byte(member, 37)
  local text, body, standing = known[asked[place - 2]], known[asked[place - 1]], known[asked[place]]
  local times = not met[agent] and not others[agent] and times_of(standing, flag, id, text, body)
  if not times then return false end
  text = claimed_text(text, standing, times, token)
  set(asked[place - 2], text)
  note_claim(token, id)
  set(asked[place], busy_text(standing, times, id))
  local ready, leases = for_key(removed, READY[rank]), for_key(added, LEASES)
  local n = #leases
  ready[#ready + 1], leases[n + 1], leases[n + 2] = member, lease_text, id
  acting[agent] = host
  if flag == 68 then
    count(DIRECT_COUNTER[rank], -1)
    local direct = for_key(removed, INDEX)
    direct[#direct + 1] = 'q' .. agent .. '\nq' .. id
  else
     show(LISTS[rank], 'LREM', body)
  end
  n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = id, body, text
  return true
end

local function activate(id, m, a, token)
  m[PROBE] = breaker_state(a) == 'half' and 1 or 0
  leave(id, m, a)
  m[HOST], m[TOKEN], m[LEASED], m[CLAIMED], m[NOTE], m[BEFORE] = host, token, lease_end, now, '', a[A_STARTED]
  enter(id, m, a, 'a')
  a[A_STARTED] = now
  save_item(id, m)
  note_claim(token, id)
  known['m' .. id] = item_text(m)
  tell_claim(id)
end

-- Claim the item of this member, if it is ready; otherwise it has been moved.
local function try(rank, member, token)
  local id, agent = buffers[rank].ids[at[rank]], buffers[rank].agents[at[rank]]
  if claim_plain(rank, member, id, agent, token) then
    taken(rank)
    return id
  end
  local good, m = pcall(item_of, id)
  local body = read('i' .. id)
  if not good or not m or not body then
    local seq = tonumber(call('ZSCORE', READY[rank], member))
    taken(rank)
    restart(bury(id, agent, rank, member, seq, body, 'the record of the item is unreadable'))
    return nil
  end
  if m[STATE] ~= 'q' then
    -- The record is the truth, the set is not.
    taken(rank)
    put_in(READY[rank], member, false)
    return nil
  end
  local a = agent_of(agent, m[NAME])
  if heed_reset(agent, a) then
    restart(0)
  end
  local state, note, due, by_breaker = place(a, m)
  if state == 'q' and others[agent] then
    -- An entry that isn't ours: another system runs the agent.
    state, note, due, by_breaker = 'd', 'another system runs the agent', now + FOREIGN_RETRY, 0
  end
  if buffers[rank] then taken(rank) end
  if state ~= 'q' then
    put(id, m, a, state, note, due, by_breaker)
    if state ~= 'w' then restart(release_waiting(agent, a)) end
    return nil
  end
  activate(id, m, a, token)
  return id
end

local scores = {}
local function score(rank, member)
  if not scores[member] then scores[member] = tonumber(call('ZSCORE', READY[rank], member)) end
  return scores[member]
end

-- Whether the first was enqueued before the second.
local function older(rank, member, other_rank, other) return score(rank, member) < score(other_rank, other) end

local moves, exhausted = 0, false
local function next_claim(token)
  while moves < MOST_MOVES do
    local first, lower, first_rank, lower_rank
    for rank = 0, 2 do
      local member = head(rank)
      if member and not first then
        first, first_rank = member, rank
        if FAIRNESS == 0 then break end
      elseif member and (not lower or older(rank, member, lower_rank, lower)) then
        lower, lower_rank = member, rank
      end
    end
    if not first then
      exhausted = true
      return nil
    end
    local turn = lower and passed_over + 1 >= FAIRNESS
    local id = try(turn and lower_rank or first_rank, turn and lower or first, token)
    if id then
      if lower then passed_over = turn and 0 or passed_over + 1 end
      return id
    end
    moves = moves + 1
  end
end

-- A repeat: the same claim, while it lasts. True if the token is good for another: its item could not be read.
local function tell_again(token, id)
  local text = read('m' .. id)
  local state = text and sub(text, 2, 38) == '\t' .. token and byte(text)
  if state == 97 then tell_claim(id) end
  return state == 120 and not read('t' .. token)
end

for n = 1, wanted do
  local token = ARGV[4 + n]
  local id = earlier[token]
  if (not id or tell_again(token, id)) and not exhausted and moves < MOST_MOVES then next_claim(token) end
end
if #claimed_now > 0 then
  set(record_of_call, claimed_before .. table.concat(claimed_now))
  if claimed_before == '' then note_age('f' .. record_of_call) end
end
if passed_over ~= passed_before then set('cp', passed_over) end
answer[1] = moves >= MOST_MOVES and 1 or 0
-- Who was taken from the head of a set goes with one word.
for rank = 0, 2 do
  local ready = removed[READY[rank]]
  if ready and #ready == walked[rank] and not stale and not members[READY[rank]] then
    heads[READY[rank]], removed[READY[rank]] = #ready, nil
  end
end
if exhausted then readied = 0 end
save()
-- (What is left to others is still to be woken for.)
if not exhausted or next(avoid) == nil then answer[2] = tell_rest(exhausted) end
return answer
