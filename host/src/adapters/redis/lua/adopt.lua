#!lua
-- Takes what another system has pushed to the lists of old into the queue: each entry gets an id, merges, or is dropped if
-- it is older than the agent's last success; what can't be read goes to the dead letters. Then the lists are made to
-- show what is ready, if they don't.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, then as many new item ids as it may adopt
-- Uses: base ranks writes signals agents items order places insert
-- Returns 1 if there is more to do: lists are looked through, and made anew, a part at a time
local AT_ONCE = 500
-- A walk through a list that nobody has gone on with for so many ms begins anew.
local PAUSE = 60000
local ANEW = 'anew'
local DIRECT = 68
-- State and priority in the record of an item.
local STANDS = '^(.)[^\n]*\n[-W][^\t]*\t[^\t]*\t[^\t]*\t(%d)\t'
local free_id = 2

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
  m[STATE], m[SEQ], m[FIRST], m[NOTE], m[ENDED] = 'x', next_seq(id), 'q', problem, now
  set('i' .. id, entry)
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

-- Whether the list is being made anew and what it showed before is being taken out: all that is numbered below this.
local function taken_below(rank)
  return read('l' .. rank) == ANEW and tonumber(read('r' .. rank))
end

-- Whether it shows an item that is ready with this priority, and whether it names one of ours at all.
local function is_ours(entry, rank, seen)
  local id, below = id_of(entry), taken_below(rank)
  local state, of_rank = match(id and read('m' .. id) or '', STANDS)
  if not state then return false, false end
  local shows = state == 'q' and tonumber(of_rank) == rank and not seen[id] and (not below or number_of(entry) >= below)
  seen[id] = true
  return shows, true
end

-- How far the walk through the list has come, counted from the left.
local function walked(rank)
  local place, at = match(read('l' .. rank) or '', '^(%d+) (%d+)$')
  return place and now - at < PAUSE and tonumber(place) or 0
end

-- A part of the list: where it begins, counted from the left, its entries, and the length of the whole.
local function part_of(rank)
  local list = LISTS[rank]
  local length = call('LLEN', list)
  local from = math.min(walked(rank), length)
  local newest, oldest = call('LINDEX', list, 0), call('LINDEX', list, -1)
  -- What another system pushes stands at the left; where nothing is ours, its oldest come first.
  if taken_below(rank) or (oldest and not id_of(oldest)) then
    from = math.max(length - AT_ONCE, 0)
  elseif newest and not id_of(newest) then
    from = 0
  end
  local entries, records = call('LRANGE', list, from, from + AT_ONCE - 1), {}
  for _, entry in ipairs(entries) do
    local id = id_of(entry)
    if id then records[#records + 1] = 'm' .. id end
  end
  read_together(records)
  return from, entries, length
end

-- Take what is in a part, and take out what does not belong there: how many went, where the next part begins, whether the
-- ids lasted, whether it was the last part.
local function take(rank)
  local from, entries, length = part_of(rank)
  local seen, places, lasted = {}, {}, true
  -- Pushed left, taken right: the oldest is the last.
  for n = #entries, 1, -1 do
    local shows, known_here = is_ours(entries[n], rank, seen)
    local new_id = ARGV[free_id]
    lasted = shows or known_here or new_id
    if not lasted then break end
    if not shows then
      -- A copy of an entry of ours goes: the record is the truth.
      table.insert(places, 1, length - from - n)
      if not known_here then
        free_id = free_id + 1
        adopt(new_id, rank, entries[n])
      end
    end
  end
  freed[LISTS[rank]] = places
  return #places, from + #entries - #places, lasted, from + #entries >= length
end

-- Show what is ready below a number, from the newest to the oldest at the right. True if there is more of it.
local function show_below(rank)
  local found = call('ZREVRANGEBYSCORE', READY[rank], '(' .. read('r' .. rank), '-inf', 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
  local bodies, entries = {}, {}
  for n = 1, #found, 2 do
    if byte(found[n], 37) ~= DIRECT then bodies[#bodies + 1] = 'i' .. sub(found[n], 1, 36) end
  end
  read_together(bodies)
  for n, body in ipairs(bodies) do entries[n] = known[body] or '' end
  many('RPUSH', LISTS[rank], entries)
  if #found == 2 * AT_ONCE then
    call('HSET', DATA, 'r' .. rank, found[#found])
    return true
  end
  call('HDEL', DATA, 'r' .. rank)
  -- Should the number of direct items be wrong, it is counted while they are few.
  if call('ZCARD', READY[rank]) <= AT_ONCE then
    local direct = 0
    for _, member in ipairs(call('ZRANGE', READY[rank], 0, -1)) do
      if byte(member, 37) == DIRECT then direct = direct + 1 end
    end
    call('HSET', DATA, 'cd' .. rank, direct)
  end
  return false
end

-- Make the list show what is ready, a part at a time. True if there is more to do. What is in it may be another system's, at any
-- moment: so it is made anew only by taking out and adding, while what is pushed meanwhile stays.
local function mend(rank)
  local function differs() return call('LLEN', LISTS[rank]) ~= shown_of(rank) end
  if not differs() then return false end
  local below = taken_below(rank)
  if read('r' .. rank) and not below then return show_below(rank) end
  local went, place, lasted, whole = take(rank)
  -- What was taken is written before the lists are compared with it.
  save()
  forget_written()
  if below then
    if went > 0 or not lasted then return true end
    call('HDEL', DATA, 'l' .. rank)
    return show_below(rank)
  end
  if not differs() then
    call('HDEL', DATA, 'l' .. rank)
    return false
  end
  if not lasted then return true end
  if whole then
    call('HSET', DATA, 'l' .. rank, ANEW, 'r' .. rank, (read('cs') or 0) + 1)
  else
    call('HSET', DATA, 'l' .. rank, math.max(place, walked(rank)) .. ' ' .. now)
  end
  return true
end

local more = 0
for rank = 0, 2 do
  if mend(rank) then more = 1 end
end
return more
