-- A script reads and decides first; what it changes is gathered here and written at its end, many with one command.

local fields, counts, standing, shown, acting, outside, events, ended = {}, {}, {}, {}, {}, {}, {}, {}

local function set(field, value) fields[field] = value end
local function count(field, by) counts[field] = (counts[field] or 0) + by end
-- Members of the index that are to be there, or not.
local function stand(first, second)
  standing[first] = true
  if second then standing[second] = true end
end
local function vanish(first, second)
  standing[first] = false
  if second then standing[second] = false end
end
-- An entry of a list of old: LPUSH or RPUSH it, or LREM it.
local function show(list, command, entry) shown[#shown + 1] = { list, command, entry } end
-- A field of one of the other hashes of old; false deletes it.
local function tell_outside(key, field, value) outside[#outside + 1] = { key, field, value } end

-- As many arguments as a call may have, in several calls.
local function many(command, key, list)
  for from = 1, #list, 4000 do call(command, key, unpack(list, from, math.min(from + 3999, #list))) end
end

-- Write what is gathered for the index: before it is read again, and at the end.
local function flush_index()
  if next(standing) == nil then return end
  local adds, drops = {}, {}
  for member, stands in pairs(standing) do
    if stands then
      adds[#adds + 1] = 0
      adds[#adds + 1] = member
    else
      drops[#drops + 1] = member
    end
  end
  many('ZREM', INDEX, drops)
  many('ZADD', INDEX, adds)
  standing = {}
end

-- A key of the wrong type is to be found before anything is written.
local function check_types()
  local seen = {}
  for _, entry in ipairs(shown) do
    if not seen[entry[1]] then call('LLEN', entry[1]) end
    seen[entry[1]] = true
  end
  for _, entry in ipairs(outside) do
    if not seen[entry[1]] then call('HLEN', entry[1]) end
    seen[entry[1]] = true
  end
  if #events > 0 then call('XLEN', EVENTS) end
end

local function flush()
  if next(acting) ~= nil then
    if #shown + #outside + #events > 0 then call('HLEN', ACTIVE) end
  end
  if next(acting) ~= nil or #outside + #events > 0 or #shown > 1 then
    check_types()
    -- The index is written first: a script that does not read it has not found out yet that it is of the wrong type.
    flush_index()
  end
  for _, entry in ipairs(shown) do
    if entry[2] == 'LREM' then call('LREM', entry[1], -1, entry[3]) else call(entry[2], entry[1], entry[3]) end
  end
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
  for _, entry in ipairs(outside) do
    if entry[3] then call('HSET', entry[1], entry[2], entry[3]) else call('HDEL', entry[1], entry[2]) end
  end
  flush_index()
  local list = {}
  for field, value in pairs(fields) do
    list[#list + 1] = field
    list[#list + 1] = value
  end
  many('HSET', DATA, list)
  for field, by in pairs(counts) do
    if by ~= 0 then call('HINCRBY', DATA, field, by) end
  end
  for _, event in ipairs(events) do
    local seq = call('HINCRBY', DATA, 'ce', 1)
    call('XADD', EVENTS, 'MAXLEN', '=', KEEP_EVENTS, seq .. '-0', 'at', now, 'kind', event[1], 'agent', event[2], 'item',
      event[3], 'host', event[4], 'detail', event[5])
    attempt('PUBLISH', EVENTS, seq)
  end
  for _, id in ipairs(ended) do attempt('PUBLISH', DATA, id) end
end

-- Record an event.
local function tell(kind, agent, item, host, detail) events[#events + 1] = { kind, agent, item, host, detail } end

-- After a `flush` in the middle: begin to gather anew.
local function forget_written()
  fields, counts, shown, acting, outside, events, ended = {}, {}, {}, {}, {}, {}, {}
end
