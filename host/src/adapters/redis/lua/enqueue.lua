#!lua
-- Adds items: merging, the breaker's and the operator's word, bounds, and the same answer to a repeat.
-- KEYS: data index leader lease queue_high queue_normal queue_low active failures backoff events wake
-- ARGV: 1 time; 2 holder, 3 term (both empty: not leader-only);
--       then for each item: id, agent, name, type, rank, inbox count, attempt, interval in ms, the item as JSON
-- Uses: base writes fence signals agents items places insert
-- Returns, for each item: {'added', state} | {'merged', id, news as 0 or 1} | {'skipped', reason} | {'full', limit}
-- Errors: FENCED
local FIELDS = 9

if ARGV[2] ~= '' then check_fence(ARGV[2], ARGV[3]) end
local asked = { 'cs' }
for at = 4, #ARGV, FIELDS do
  asked[#asked + 1] = 'm' .. ARGV[at]
  asked[#asked + 1] = 'a' .. ARGV[at + 1]
end
read_together(asked)
local earlier = {}
for at = 4, #ARGV, FIELDS do
  local id = ARGV[at]
  earlier[id] = unpacked(read('m' .. id), 'm' .. id)
  agent_of(ARGV[at + 1], ARGV[at + 2])
end

local depths = {}
local function depth(rank)
  if not depths[rank] then depths[rank] = depth_of(rank) end
  return depths[rank]
end

-- Keep the answer to an item that was not added.
local function keep(id, answer)
  local kept = { ANSWER, answer[1], answer[2], answer[3] or 0 }
  earlier[id] = kept
  set('m' .. id, cmsgpack.pack(kept))
  stand('f' .. sorted(now) .. 'm' .. id)
  return answer
end

-- Why an item that the Hub brings back by itself is not taken now.
local function skips(a)
  if a[A_PAUSED] == 1 then return 'the agent is paused' end
  local state = breaker_state(a)
  if state == 'forced' then return 'the breaker is forced open' end
  if (state == 'open' or state == 'half') and a[A_OPEN] > now then
    return 'the breaker is open for another ' .. math.ceil((a[A_OPEN] - now) / 1000) .. ' s'
  end
end

local function one(at)
  local id, agent = ARGV[at], ARGV[at + 1]
  local known = earlier[id]
  if known then
    if known[STATE] == ANSWER then return { known[2], known[3], known[4] } end
    return { 'added', known[FIRST] }
  end
  local a = agent_of(agent)
  if heed_reset(agent, a) then depths = {} end
  if a[A_NAME] ~= ARGV[at + 2] then a[A_NAME], changed[agent] = ARGV[at + 2], true end
  local rank = tonumber(ARGV[at + 4])
  local m = fresh_item(agent, ARGV[at + 2], ARGV[at + 3], rank, tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]),
    tonumber(ARGV[at + 7]))
  if m[TYPE] ~= 'direct' then
    local merged = merge(a, m)
    if merged then return keep(id, merged) end
    local reason = skips(a)
    if reason then return keep(id, { 'skipped', reason }) end
  end
  if depth(rank) >= MAX_QUEUE then return keep(id, { 'full', MAX_QUEUE }) end
  local state = insert(id, a, m, ARGV[at + 8])
  if state ~= 'd' then depths[rank] = depths[rank] + 1 end
  earlier[id] = m
  return { 'added', state }
end

local answers = {}
for at = 4, #ARGV, FIELDS do answers[#answers + 1] = one(at) end
save()
return answers
