#!lua flags=allow-oom
-- The periodic work of the queue: recover, promote, forget. Bounded; any host may do it at any time.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff effects effect_ages events wake
-- ARGV: 1 time, 2 seed of the jitter
-- Uses: base writes signals agents breaker items places lose
-- Returns {promoted, forgotten, 1 if there is more to do, 1 if a list of old holds entries that aren't ours,
--          1 if `work:active` does, then for each recovered claim: item, agent, host}
local MOST = 500
seed(ARGV[2])

local promoted, forgotten, more = 0, 0, false
local function due(key)
  flush_sets()
  local found = call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, MOST)
  more = more or #found == MOST
  return found
end

local recovered = {}
for _, id in ipairs(due(LEASES)) do
  local m = item_of(id)
  if m and m[STATE] == 'a' then
    local n = #recovered
    recovered[n + 1], recovered[n + 2], recovered[n + 3] = id, m[AGENT], m[HOST]
    lose(id, m)
  else
    put_in(LEASES, id, false)
  end
end

for _, id in ipairs(due(DELAYED)) do
  local m = item_of(id)
  if m and m[STATE] == 'd' then
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
local aged, last_old = call('LRANGE', AGES, 0, MOST - 1), sorted(math.max(now - KEEP_DONE, 0))
local passed, records = 0, {}
for n = 1, #aged do
  if sub(aged[n], 1, 15) < last_old and sub(aged[n], 16, 16) == 'e' then records[#records + 1] = 'm' .. sub(aged[n], 17) end
end
read_together(records)
while passed < #aged and sub(aged[passed + 1], 1, 15) < last_old do
  passed = passed + 1
  local what = sub(aged[passed], 17)
  if sub(aged[passed], 16, 16) == 'e' then
    local token = match(known['m' .. what] or '', '^e\t([^\t]+)')
    if token then unset('t' .. token) end
    unset('i' .. what)
    unset('m' .. what)
    put_in(ORDER, what, false)
    count('cf', -1)
  else
    unset(what)
  end
  forgotten = forgotten + 1
end
more = more or passed == MOST

flush_sets()
-- An operator's reset that no claim or enqueue has come upon.
if call('HLEN', BACKOFF) < call('ZLEXCOUNT', INDEX, '[b', '(c') then
  for _, member in ipairs(call('ZRANGEBYLEX', INDEX, '[b' .. sorted(now), '(c', 'LIMIT', 0, MOST)) do
    local id = string.sub(member, 17)
    local a = agent_of(id)
    if a then heed_reset(id, a) end
  end
end

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

local foreign = 0
forget_written()
for rank = 0, 2 do
  if attempt('LLEN', LISTS[rank]) ~= shown_of(rank) then foreign = 1 end
end
local strangers = call('HLEN', ACTIVE) > call('ZCARD', LEASES) and 1 or 0
return { promoted, forgotten, more and 1 or 0, foreign, strangers, unpack(recovered) }
