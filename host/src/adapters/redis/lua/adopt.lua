#!lua
-- Takes what another system has pushed to the lists of old into the queue: each entry gets an id, merges, or is dropped if
-- it is older than the agent's last success; what can't be read goes to the dead letters. Then the lists are made to
-- show what is ready, if they don't.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, then as many new item ids as it may adopt
-- Uses: base writes signals agents items places insert
-- Returns how many entries were taken
local free_id, taken = 2, 0

local function valid_name(text) return type(text) == 'string' and #text <= 64 and text:match('^[a-z0-9_.%-]+$') and not text:match('^%.+$') end
local function valid_id(text) return type(text) == 'string' and #text >= 1 and #text <= 256 and not text:match('%c') end

-- The entry as a table, or nil and what is wrong with it.
local function parsed(entry)
  local good, item = pcall(cjson.decode, entry)
  if not good or type(item) ~= 'table' then return nil, 'it is not a JSON object' end
  if not valid_id(item.agent_id) then return nil, 'its agent_id is not valid' end
  if not valid_name(item.agent_name) then return nil, 'its agent_name is not valid' end
  if item.task_type ~= 'inbox' and item.task_type ~= 'discovery' then return nil, 'its task_type is neither inbox nor discovery' end
  local made = item.created_at
  -- Neither before there were clocks, nor after the year 5000, nor no number at all.
  if type(made) ~= 'number' or not (made >= 0 and made < 1e11) then return nil, 'its created_at is not a time in seconds' end
  local count = item.inbox_count
  if count == nil or count == cjson.null then item.inbox_count, count = 0, 0 end
  if type(count) ~= 'number' or count < 0 or count > 4294967295 or count % 1 ~= 0 then return nil, 'its inbox_count is not a count' end
  return item
end

local function bury(id, rank, entry, problem)
  local m = fresh_item('unreadable', 'unreadable', 'direct', rank, 0, 1, 0)
  problem = 'an entry of ' .. LISTS[rank] .. ' is not an item: ' .. problem
  m[STATE], m[SEQ], m[FIRST], m[NOTE], m[ENDED] = 'x', next_seq(), 'q', problem, now
  set('i' .. id, entry)
  put_in(ORDER, id, m[SEQ])
  stand_as(id, m, true)
  save_item(id, m)
  tell('item_unreadable', '', id, '', problem)
end

local function adopt(id, rank, entry)
  local item, problem = parsed(entry)
  if not item then return bury(id, rank, entry, problem) end
  local agent = item.agent_id
  local a = agent_of(agent, item.agent_name)
  changed[agent] = true
  if item.created_at * 1000 < a[A_SUCCESS] then
    return tell('item_dropped', agent, '', '', "older than the agent's last success")
  end
  local m = fresh_item(agent, item.agent_name, item.task_type, rank, item.inbox_count, 1, 0)
  if merge(a, m) then return end
  -- Its own words, with our id in front: nothing of it is encoded anew. Where a key is twice, the first is ours.
  insert(id, a, m, '{"id":"' .. id .. '",' .. entry:match('^%s*{(.*)$'))
end

-- Whether it shows an item that is ready with this priority, and whether it names one of ours at all.
local function is_ours(entry, rank, seen)
  local id = entry:match('^{"id":"([%x%-]+)",')
  local m = id and #id == 36 and item_of(id)
  if not m then return false, false end
  local shown = m[STATE] == 'q' and m[RANK] == rank and not seen[id]
  seen[id] = true
  return shown, true
end

-- An entry that is to go: the last that is the same.
local function drop(rank, entry) show(LISTS[rank], 'LREM', entry) end

local function take(rank)
  local seen = {}
  local entries = call('LRANGE', LISTS[rank], 0, -1)
  -- Pushed left, taken right: the oldest is the last.
  for n = #entries, 1, -1 do
    local entry = entries[n]
    local ours, known = is_ours(entry, rank, seen)
    if known and not ours then
      -- A copy of an entry of ours: the record is the truth.
      drop(rank, entry)
    elseif not ours then
      local new_id = ARGV[free_id]
      if not new_id then return false end
      free_id, taken = free_id + 1, taken + 1
      drop(rank, entry)
      adopt(new_id, rank, entry)
    end
  end
  return true
end

-- Show in a list exactly what is ready, the oldest at the right.
local function mend(rank)
  call('DEL', LISTS[rank])
  local direct = 0
  for _, member in ipairs(call('ZRANGE', READY[rank], 0, -1)) do
    local id = sub(member, 1, 36)
    local m = item_of(id)
    if m and m[TYPE] == 'direct' then
      direct = direct + 1
    elseif m then
      call('LPUSH', LISTS[rank], call('HGET', DATA, 'i' .. id) or '')
    end
  end
  call('HSET', DATA, 'cd' .. rank, direct)
end

for rank = 0, 2 do
  local function differs() return call('LLEN', LISTS[rank]) ~= shown_of(rank) end
  local whole = not differs() or take(rank)
  -- What was taken is written before the lists are compared with it.
  save()
  forget_written()
  if whole and differs() then mend(rank) end
end
return taken
