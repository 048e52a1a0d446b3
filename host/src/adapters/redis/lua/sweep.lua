#!lua flags=allow-oom
-- The periodic work of the queue: recover, promote, forget. Bounded; any host may do it at any time.
-- KEYS: data index queue_high queue_normal queue_low active failures backoff effects effect_ages events wake
-- ARGV: 1 time, 2 seed of the jitter
-- Uses: base writes signals agents breaker items places lose
-- Returns {promoted, forgotten, 1 if there is more to do, 1 if a list of old holds entries that aren't ours,
--          1 if `work:active` does, then for each recovered claim: item, agent, host}
local MOST = 500
seed(ARGV[2])

local promoted, forgotten, more, gone = 0, 0, false, {}
local function found(from, to)
  settle_index()
  local members = call('ZRANGEBYLEX', INDEX, from, to, 'LIMIT', 0, MOST)
  more = more or #members == MOST
  return members
end

local recovered = {}
for _, member in ipairs(found('[l', '(l' .. sorted(now + 1))) do
  local id = string.sub(member, 17)
  local m = item_of(id)
  if m and m[STATE] == 'a' then
    local n = #recovered
    recovered[n + 1], recovered[n + 2], recovered[n + 3] = id, m[AGENT], m[HOST]
    lose(id, m)
  else
    vanish(member)
  end
end

for _, member in ipairs(found('[d', '(d' .. sorted(now + 1))) do
  local id = string.sub(member, 17)
  local m = item_of(id)
  if m and m[STATE] == 'd' then
    local a, due = agent_of(m[AGENT], m[NAME]), m[DUE]
    leave(id, m, a)
    m[NOTE], m[DUE], m[BY_BREAKER], m[READY_AT] = '', 0, 0, due
    enter(id, m, a, 'q', 'RPUSH')
    save_item(id, m)
    promoted = promoted + 1
  else
    vanish(member)
  end
end

for _, member in ipairs(found('[e', '(e' .. sorted(now - KEEP_DONE))) do
  local id = string.sub(member, 17)
  local m = item_of(id)
  for _, field in ipairs({ 'i' .. id, 'm' .. id, 't' .. (m and m[TOKEN] or '') }) do gone[#gone + 1] = field end
  vanish(member, 'o' .. sorted(m and m[SEQ] or 0) .. id)
  forgotten = forgotten + 1
end

for _, member in ipairs(found('[f', '(f' .. sorted(now - KEEP_DONE))) do
  gone[#gone + 1] = string.sub(member, 17)
  vanish(member)
  forgotten = forgotten + 1
end

settle_index()
-- An operator's reset that no claim or enqueue has come upon.
if call('HLEN', BACKOFF) < call('ZLEXCOUNT', INDEX, '[b', '(c') then
  for _, member in ipairs(call('ZRANGEBYLEX', INDEX, '[b' .. sorted(now), '(c', 'LIMIT', 0, MOST)) do
    local id = string.sub(member, 17)
    local a = agent_of(id)
    if a then heed_reset(id, a) end
  end
end

save()
many('HDEL', DATA, gone)

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
for rank = 0, 2 do
  counts['cd' .. rank] = nil
  if call('LLEN', LISTS[rank]) ~= shown_of(rank) then foreign = 1 end
end
local strangers = call('HLEN', ACTIVE) > call('ZLEXCOUNT', INDEX, '[l', '(m') and 1 or 0
return { promoted, forgotten, more and 1 or 0, foreign, strangers, unpack(recovered) }
