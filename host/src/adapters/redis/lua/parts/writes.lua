-- A script reads and decides first; what it changes is gathered here and written at its end, many with one command.

-- Of the data hash: fields and values in turn, fields to delete, counters to add to.
local fields, nfields, gone, counts = {}, 0, {}, {}
-- Members of sorted sets by key, each with its score, or false to remove it.
local members = {}
-- Arguments by key of what is only ever added to or removed from it in one script.
local added, removed = {}, {}
-- How many go from the head of a sorted set.
local heads = {}
-- Entries of the lists of old by key: what to do with each, in turn.
local shown = {}
local acting, outside, events, ended = {}, {}, {}, {}
-- Keys whose type is known.
local sure, first_key = {}, nil

local function set(field, value)
  fields[nfields + 1], fields[nfields + 2] = field, value
  nfields = nfields + 2
  known[field] = value
end
local function unset(field) gone[#gone + 1], known[field] = field, false end
local function count(field, by) counts[field] = (counts[field] or 0) + by end
-- A member of a sorted set is to be there with this score, or (false) not to be there.
local function put_in(key, member, score)
  local of_key = members[key]
  if not of_key then
    of_key = {}
    members[key] = of_key
  end
  of_key[member] = score
end
-- Members of the index are to be there, or not.
local function stand(member) put_in(INDEX, member, 0) end
local function vanish(member) put_in(INDEX, member, false) end
-- The arguments gathered for a key.
local function for_key(gathered, key)
  local list = gathered[key]
  if not list then
    list = {}
    gathered[key] = list
  end
  return list
end
-- What is to be looked at again in an hour, and forgotten.
local function note_age(what)
  local list = for_key(added, AGES)
  list[#list + 1] = sorted(now) .. what
end
-- An entry of a list of old: LPUSH or RPUSH it, or LREM it.
local function show(list, command, entry)
  local steps = for_key(shown, list)
  steps[#steps + 1], steps[#steps + 2] = command, entry
end
-- A field of one of the other hashes of old; false deletes it.
local function tell_outside(key, field, value) outside[#outside + 1] = { key, field, value } end

-- As many arguments as a call may have, in several calls.
local function many(command, key, list)
  for from = 1, #list, 4000 do call(command, key, unpack(list, from, math.min(from + 3999, #list))) end
end

-- A key of the wrong type is to be found before anything is written: by this command, or by the first write.
local function check(command, key)
  local unsure = not sure[key]
  sure[key] = true
  if first_key and unsure then call(command, key) end
  first_key = first_key or key
end

-- In the order in which they are written.
local function check_types()
  for key in pairs(heads) do check('ZCARD', key) end
  for key in pairs(removed) do check('ZCARD', key) end
  for key in pairs(added) do check(key == AGES and 'LLEN' or 'ZCARD', key) end
  for key in pairs(members) do check('ZCARD', key) end
  for key in pairs(shown) do check('LLEN', key) end
  if next(acting) ~= nil then check('HLEN', ACTIVE) end
  for _, entry in ipairs(outside) do check('HLEN', entry[1]) end
  if #events > 0 then
    -- Their counter is written before them.
    first_key = first_key or DATA
    check('XLEN', EVENTS)
  end
end

local function write_sets()
  for key, number in pairs(heads) do call('ZREMRANGEBYRANK', key, 0, number - 1) end
  for key, list in pairs(removed) do many('ZREM', key, list) end
  for key, list in pairs(added) do many(key == AGES and 'RPUSH' or 'ZADD', key, list) end
  for key, of_key in pairs(members) do
    local adds, drops = {}, {}
    for member, score in pairs(of_key) do
      if score then
        adds[#adds + 1] = score
        adds[#adds + 1] = member
      else
        drops[#drops + 1] = member
      end
    end
    many('ZREM', key, drops)
    many('ZADD', key, adds)
  end
  heads, removed, added, members = {}, {}, {}, {}
end

-- Write what is gathered for sorted sets, before they are read again.
local function flush_sets()
  if next(heads) == nil and next(removed) == nil and next(added) == nil and next(members) == nil then return end
  check_types()
  write_sets()
end

local function flush_acting()
  local active, idle = {}, {}
  for agent, host in pairs(acting) do
    if host then
      active[#active + 1] = agent
      active[#active + 1] = host
    else
      idle[#idle + 1] = agent
    end
  end
  many('HDEL', ACTIVE, idle)
  many('HSET', ACTIVE, active)
end

local function append(how, seq, event)
  return how('XADD', EVENTS, 'MAXLEN', '=', KEEP_EVENTS, seq .. '-0', 'at', now, 'kind', event[1], 'agent', event[2], 'item',
    event[3], 'host', event[4], 'detail', event[5])
end

local function flush_first()
  for field, by in pairs(counts) do
    if by ~= 0 then set(field, format('%d', (read(field) or 0) + by)) end
  end
  check_types()
  write_sets()
end

-- The lists of old come in between, see `places`.
local function flush_rest()
  if next(acting) ~= nil then flush_acting() end
  for _, entry in ipairs(outside) do
    if entry[3] then call('HSET', entry[1], entry[2], entry[3]) else call('HDEL', entry[1], entry[2]) end
  end
  if nfields > 0 then many('HSET', DATA, fields) end
  if #gone > 0 then many('HDEL', DATA, gone) end
  for _, event in ipairs(events) do
    local seq = call('HINCRBY', DATA, 'ce', 1)
    local added = append(attempt, seq, event)
    if type(added) == 'table' and added.err then
      -- Somebody has deleted the data, and with it the counter, but not the stream: go on where that ends.
      local last = call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
      seq = last and tonumber(match(last[1], '^%d+')) + 1 or seq
      call('HSET', DATA, 'ce', seq)
      append(call, seq, event)
    end
    attempt('PUBLISH', EVENTS, seq)
  end
  for _, id in ipairs(ended) do attempt('PUBLISH', DATA, id) end
end

-- Of scripts that touch no list of old.
local function flush()
  flush_first()
  flush_rest()
end

-- Record an event.
local function tell(kind, agent, item, host, detail) events[#events + 1] = { kind, agent, item, host, detail } end
