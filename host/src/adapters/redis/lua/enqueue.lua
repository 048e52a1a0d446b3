#!lua
-- Adds items: merging, the breaker's and the operator's word, bounds, and the same answer to a repeat.
-- KEYS: data index leader lease ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low
-- KEYS: active failures backoff events wake
-- ARGV: 1 time; 2 holder, 3 term (both empty: not leader-only); 4 host, 5 lease in ms, 6 token, 7 number of the item that is
--       claimed with them, if nothing else is ready and it is plain (all empty: none);
--       then for each item: id, agent, name, type and rank (a flag of `ready_…` and a digit), the item as JSON, and what its
--       record says of it: -agent name type rank interval count attempt, between tabs
-- Uses: base ranks fence signals plain_claimed plain_enqueue writes agents items order places insert
-- Returns, for each item: 'q' (added, and ready) | {'added', state} | {'merged', id, news as 0 or 1} | {'skipped', reason} | {'full', limit};
--          then what is known of the item that was claimed, if it was
-- Errors: FENCED
local kinds = {}

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

-- Items of one type and priority: its flag, its priority, and what is gathered of them.
local function kind_of(word)
  local rank = byte(word, 2) - 48
  local kind = { flag = sub(word, 1, 1), rank = rank, ready = for_key(added, READY[rank]) }
  depth(rank)
  kinds[word] = kind
  return kind
end

-- The common case: an agent of which there is nothing to say. The item is ready.
local function add_plain(at, id, agent, record, standing)
  local text, name = known[standing], ARGV[at + 2]
  if not is_plain_agent(text, name) then return nil end
  local kind = kinds[ARGV[at + 3]] or kind_of(ARGV[at + 3])
  local rank, ready = kind.rank, kind.ready
  if depth(rank) >= MAX_QUEUE then return nil end
  depths[rank] = depths[rank] + 1
  local seq = format('%d', next_seq(id))
  set('i' .. id, ARGV[at + 4])
  set(record, ready_text(ARGV[at + 5], seq))
  local k = #ready
  ready[k + 1], ready[k + 2] = seq, id .. kind.flag .. agent
  if kind.flag == 'D' then
    count(DIRECT_COUNTER[rank], 1)
    local direct = for_key(added, INDEX)
    direct[#direct + 1] = '0'
    direct[#direct + 1] = 'q' .. agent .. '\nq' .. id
  else
    set(standing, with_open(text, byte(kind.flag), id))
    show(LISTS[rank], 'LPUSH', ARGV[at + 4])
  end
  readied = readied + 1
  return 'q'
end

local function add(at, id, agent)
  local a = agent_of(agent, ARGV[at + 2])
  if heed_reset(agent, a) then
    flush_sets()
    depths, kinds = {}, {}
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

local function one(at, n)
  local id, agent, record, standing = ARGV[at], ARGV[at + 1], asked[n], asked[n + 1]
  local before = known[record]
  if before then return earlier(before) end
  -- Those with an interval are looked at one by one.
  if not met[agent] and known[standing] and byte(ARGV[at + 3]) ~= 88 then
    local answer = add_plain(at, id, agent, record, standing)
    if answer then return answer end
  end
  return add(at, id, agent)
end

local answers = {}
local first = #asked - (#ARGV - ITEMS_AT + 1) / FIELDS * 2 + 1
for at = ITEMS_AT, #ARGV, FIELDS do answers[#answers + 1] = one(at, first + (at - ITEMS_AT) / FIELDS * 2) end
save()
return answers
