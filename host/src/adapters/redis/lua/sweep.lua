#!lua flags=allow-oom
-- The periodic work of the queue: recover, promote, forget. Bounded; any host may do it at any time.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff effects effect_ages events wake
-- ARGV: 1 time, 2 seed of the jitter
-- Uses: base ranks writes signals agents breaker items order places lose
-- Returns {promoted, forgotten, 1 if there is more to do, 1 if a list of old holds entries that aren't ours,
--          1 if `work:active` does, or minus the ms for which there is nothing to do here unless something is queued, delayed,
--          claimed or in backoff; then for each recovered claim: item, agent, host}
local MOST, LONGEST_REST = 200, 60000
-- Agents in backoff that a sweep looks at.
local LOOKED_AT = 1000
local AGES_AT_ONCE = 20
seed(ARGV[2])

local promoted, forgotten, more = 0, 0, false
local function due(key)
  flush_sets()
  local found = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, MOST)
  more = more or #found == MOST
  return found
end

-- Most of the time most of it is not there.
local function there(...) return call('EXISTS', ...) > 0 end
local urgent = there(LEASES, DELAYED, ACTIVE, READY_HIGH, READY_NORMAL, READY_LOW, QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW)

-- What an item's JSON says of it, where that can be read.
local function said(body, field) return match(body, '"' .. field .. '"%s*:%s*"([^"\\%c]+)"') end

-- The agent that runs it, as the agent's own record says.
local function runs(id)
  for _, agent in ipairs(call('HKEYS', ACTIVE)) do
    if find(read('a' .. agent) or '', id, 1, true) then return agent end
  end
end

-- An item whose record nobody can read any more becomes a dead letter, with a new number: nothing could be done in its name,
-- its agent would be busy for good, and the sweeps would stop at it.
local RANK_NAMED = { high = 0, normal = 1, low = 2 }
local TYPE_NAMED = { inbox = 'inbox', discovery = 'discovery' }
local function bury(id, from)
  local body, problem = read('i' .. id) or '', 'the record of the item is unreadable'
  local agent, name = said(body, 'agent_id') or runs(id), said(body, 'agent_name') or 'unreadable'
  local m = { 'x', '', 0, 0, 0, '', '', 0, '', now, 0, 0, 0, '-', agent or 'unreadable', name, TYPE_NAMED[said(body, 'task_type')] or 'direct',
    RANK_NAMED[said(body, 'priority')] or 0, 0, 0, 1, next_seq(id), now, 'q', problem }
  put_in(from, id, false)
  stand_as(id, m, true)
  save_item(id, m)
  tell('item_unreadable', agent or '', id, '', problem)
  if not agent then return end
  local a = agent_of(agent, name)
  changed[agent] = true
  if a[A_ACTIVE] == id then
    a[A_ACTIVE] = ''
    acting[agent] = false
  end
  shut_item(a, m, id)
  for _, member in ipairs(of_class(agent, 'b', FREED_AT_ONCE)) do
    if sub(member, -36) == id then vanish(member) end
  end
  release_waiting(agent, a)
end

-- Those that are due, as far as they can be read.
local function readable(from)
  local ids, found = urgent and due(from) or {}, {}
  for _, id in ipairs(ids) do
    local is_rest = find(id, REST, 1, true) == 1
    if is_rest or pcall(item_of, id) then found[#found + 1] = id else bury(id, from) end
  end
  return found
end

local recovered = {}
for _, id in ipairs(readable(LEASES)) do
  local m = item_of(id)
  if m and m[STATE] == 'a' then
    local n = #recovered
    recovered[n + 1], recovered[n + 2], recovered[n + 3] = id, m[AGENT], m[HOST]
    lose(id, m)
  else
    put_in(LEASES, id, false)
  end
end

-- Go on with what one step was too short for.
local function free_rest(member)
  local agent, freed_now = sub(member, #REST + 1), 0
  local a = agent_of(agent)
  if a and a[A_MODE] ~= 'f' and a[A_OPEN] == 0 then freed_now = ready_class(agent, a, 'b', FREED_AT_ONCE) end
  if a and a[A_MODE] ~= 'f' and a[A_PAUSED] == 0 then freed_now = freed_now + ready_class(agent, a, 'h', FREED_AT_ONCE - freed_now) end
  more = more or freed_now == FREED_AT_ONCE
  if freed_now < FREED_AT_ONCE then put_in(DELAYED, member, false) end
end

for _, id in ipairs(readable(DELAYED)) do
  local is_rest = find(id, REST, 1, true) == 1
  local m = not is_rest and item_of(id)
  if is_rest then
    free_rest(id)
  elseif m and m[STATE] == 'd' then
    local a, time = agent_of(m[AGENT], m[NAME]), m[DUE]
    leave(id, m, a)
    m[NOTE], m[DUE], m[BY_BREAKER], m[READY_AT] = '', 0, 0, time
    enter(id, m, a, 'q', 'RPUSH')
    save_item(id, m)
    promoted = promoted + 1
  else
    put_in(DELAYED, id, false)
  end
end

-- The first of the list are the oldest.
local last_old, passed, left = sorted(math.max(now - KEEP_DONE, 0)), 0, {}
local function forget(what)
  if sub(what, 1, 1) == 'f' then
    unset(sub(what, 2))
    forgotten = forgotten + 1
    return
  end
  local records = {}
  for at = 2, #what, 36 do records[#records + 1] = 'm' .. sub(what, at, at + 35) end
  read_together(records)
  for _, record in ipairs(records) do
    local id = sub(record, 2)
    left[id] = match(known[record] or '', NUMBERED)
    unset('i' .. id)
    unset(record)
  end
  count('cf', -#records)
  forgotten = forgotten + #records
end
-- Mostly not even the first is due.
local whole, at_once = false, 1
repeat
  local aged, before = call('LRANGE', AGES, passed, passed + at_once - 1), passed
  for _, entry in ipairs(aged) do
    if sub(entry, 1, 15) >= last_old or forgotten >= MOST then break end
    forget(sub(entry, 16))
    passed = passed + 1
  end
  whole, at_once = passed == before + at_once, AGES_AT_ONCE
until not whole
more = more or forgotten >= MOST

flush_sets()
-- An operator's reset that no claim or enqueue has come upon.
local in_backoff = call('ZLEXCOUNT', INDEX, '[b', '(c')
if in_backoff > 0 and call('HLEN', BACKOFF) < in_backoff then
  -- A part of them in each sweep: one that is due and has no field is in order, and there may be many behind it.
  local from = read('lb')
  local found = call('ZRANGEBYLEX', INDEX, from and '(' .. from or '[b' .. sorted(now), '(c', 'LIMIT', 0, LOOKED_AT)
  local ids = {}
  for n, member in ipairs(found) do ids[n] = sub(member, 17) end
  local shown_as = #ids > 0 and call('HMGET', BACKOFF, unpack(ids)) or {}
  for n, id in ipairs(ids) do
    local a = not shown_as[n] and agent_of(id)
    if a then heed_reset(id, a) end
  end
  if #found == LOOKED_AT then set('lb', found[#found]) elseif from then unset('lb') end
end

leave_order(left)
save()
if passed > 0 then call('LTRIM', AGES, passed, -1) end

local old = call('ZRANGEBYSCORE', EFFECT_AGES, '-inf', '(' .. now - KEEP_EFFECTS, 'LIMIT', 0, MOST)
more = more or #old == MOST
for _, key in ipairs(old) do
  local effect = unpacked(call('HGET', EFFECTS, 'e' .. key), key)
  if effect and effect[4] ~= '' and call('HINCRBY', EFFECTS, effect[4], -1) <= 0 then call('HDEL', EFFECTS, effect[4]) end
  call('HDEL', EFFECTS, 'e' .. key)
  call('ZREM', EFFECT_AGES, key)
  forgotten = forgotten + 1
end

local foreign, strangers = 0, 0
forget_written()
if urgent then
  read_together({ 'cd0', 'cd1', 'cd2' })
  for rank = 0, 2 do
    if attempt('LLEN', LISTS[rank]) ~= shown_of(rank) then foreign = 1 end
  end
  strangers = call('HLEN', ACTIVE) > call('ZCARD', LEASES) and 1 or 0
end
if not urgent and in_backoff == 0 and not more then
  local oldest, effect = call('LRANGE', AGES, 0, 0)[1], call('ZRANGE', EFFECT_AGES, 0, 0, 'WITHSCORES')[2]
  -- What is added from now on is kept for as long as its kind is.
  local rest = math.min(LONGEST_REST, KEEP_DONE, KEEP_EFFECTS)
  if oldest then rest = math.min(rest, sub(oldest, 1, 15) + KEEP_DONE + 1 - now) end
  if effect then rest = math.min(rest, effect + KEEP_EFFECTS + 1 - now) end
  strangers = math.min(-rest, 0)
end
return { promoted, forgotten, more and 1 or 0, foreign, strangers, unpack(recovered) }
