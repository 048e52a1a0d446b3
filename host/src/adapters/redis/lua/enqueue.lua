#!lua
-- Adds items: merging, the breaker's and the operator's word, bounds, and the same answer to a repeat.
-- KEYS: data index leader lease ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low
-- KEYS: active failures backoff events wake
-- ARGV: 1 time; 2 holder, 3 term (both empty: not leader-only);
--       then for each item: id, agent, name, type and rank (a flag of `ready_…` and a digit), the item as JSON, and what its
--       record says of it: -agent name type rank interval count attempt, between tabs
-- Uses: base writes fence signals agents items places insert
-- Returns, for each item: {'added', state} | {'merged', id, news as 0 or 1} | {'skipped', reason} | {'full', limit}
-- Errors: FENCED
local FIELDS = 6
-- Where the name stands in a plain agent's record.
local NAME_AT = 74

if ARGV[2] ~= '' then check_fence(ARGV[2], ARGV[3]) end
local asked = { 'cs', 'cw0', 'cw1', 'cw2', 'ch0', 'ch1', 'ch2', 'cd0', 'cd1', 'cd2' }
for at = 4, #ARGV, FIELDS do
  local n = #asked
  asked[n + 1], asked[n + 2] = 'm' .. ARGV[at], 'a' .. ARGV[at + 1]
end
read_together(asked)
local added_as = { q = { 'added', 'q' } }

local depths = {}
local function depth(rank)
  if not depths[rank] then depths[rank] = depth_of(rank) end
  return depths[rank]
end

-- Keep the answer to an item that was not added.
local function keep(id, answer)
  set('m' .. id, ANSWER .. answer[1] .. '\t' .. answer[2] .. '\t' .. (answer[3] or 0))
  note_age('fm' .. id)
  return answer
end

-- The answer to an item that was here before.
local function earlier(text)
  if byte(text) == 33 then
    local word, detail, news = match(text, '^!(%a+)\t(.*)\t(%d+)$')
    return { word, detail, tonumber(news) }
  end
  return { 'added', match(text, '(%a)\n', find(text, '\n', 1, true) + 1) }
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

local now_text = sorted(now)
-- The common case: an agent of which there is nothing to say. The item is ready.
local function add_plain(at, id, agent)
  local text, flag, rank = known['a' .. agent], byte(ARGV[at + 3]), byte(ARGV[at + 3], 2) - 48
  local name = ARGV[at + 2]
  if byte(text) ~= 112 or sub(text, NAME_AT, NAME_AT + #name) ~= name .. '\t' or depth(rank) >= MAX_QUEUE then return nil end
  depths[rank] = depths[rank] + 1
  local seq = format('%d', next_seq())
  set('i' .. id, ARGV[at + 4])
  set('m' .. id, PLAIN .. ARGV[at + 5] .. '\t' .. seq .. '\t' .. now_text .. '\tq\n')
  local order, ready = for_key(added, ORDER), for_key(added, READY[rank])
  local n, k = #order, #ready
  order[n + 1], order[n + 2], ready[k + 1], ready[k + 2] = seq, id, seq, id .. sub(ARGV[at + 3], 1, 1) .. agent
  if flag == 68 then
    count('cd' .. sub(ARGV[at + 3], 2), 1)
  else
    set('a' .. agent, 'o' .. id .. sub(text, 2))
    show(LISTS[rank], 'LPUSH', ARGV[at + 4])
  end
  readied = readied + 1
  return added_as.q
end

local function add(at, id, agent)
  local a = agent_of(agent, ARGV[at + 2])
  if heed_reset(agent, a) then
    flush_sets()
    depths = {}
  end
  if a[A_NAME] ~= ARGV[at + 2] then a[A_NAME], changed[agent] = ARGV[at + 2], true end
  local m = item_of_text(PLAIN .. ARGV[at + 5] .. '\t0\t' .. now_text .. '\t\n')
  if m[TYPE] ~= 'direct' then
    local merged = merge(a, m)
    if merged then return keep(id, merged) end
    local reason = skips(a)
    if reason then return keep(id, { 'skipped', reason }) end
  end
  if depth(m[RANK]) >= MAX_QUEUE then return keep(id, { 'full', MAX_QUEUE }) end
  local state = insert(id, a, m, ARGV[at + 4])
  if state ~= 'd' then depths[m[RANK]] = depths[m[RANK]] + 1 end
  known['m' .. id] = item_text(m)
  return { 'added', state }
end

local function one(at)
  local id, agent = ARGV[at], ARGV[at + 1]
  local before = known['m' .. id]
  if before then return earlier(before) end
  -- Discovery items are open in another list; those with an interval are looked at one by one.
  if not met[agent] and known['a' .. agent] and byte(ARGV[at + 3]) ~= 88 then
    local answer = add_plain(at, id, agent)
    if answer then return answer end
  end
  return add(at, id, agent)
end

local answers = {}
for at = 4, #ARGV, FIELDS do answers[#answers + 1] = one(at) end
save()
return answers
