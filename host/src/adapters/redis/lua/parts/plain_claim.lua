-- What most claims are: all that is asked for is plain items, of the first priority and in their turns of lower ones; or there
-- are fewer, all of one priority; or nothing is ready.
-- They are decided together and then written, with no table that isn't theirs: those by which everything else is gathered
-- cost more than an item does. If anything is otherwise nothing has been written, and the rest of the script sees to all.

local MOST_PLAIN = 500
-- What is read besides three fields of each item.
local FIXED_FIELDS = 4
local host, wanted = ARGV[2], tonumber(ARGV[4])
local lease_end = now + tonumber(ARGV[3])
lease_to(host, tonumber(ARGV[3]))
-- What the calls whose first token is this one have claimed: <token><id>…
local record_of_call = 'k' .. ARGV[5]

-- The second line of an item's record: one that somebody has cut or garbled is not to be claimed, as nobody could read it.
local SECOND_LINE = '^[-W][^\t\n]*\t[^\t\n]*\t%l+\t%d\t%d+\t%d+\t%d+\t%d+\t%d+\t%l\n'

-- Where the times stand in what is known of the agent of a plain item, whose flag is this; nothing if it is not plain.
local function times_of(standing, flag, id, text, body)
  if flag == 88 or not text or not body or not standing then return nil end
  if find(text, PLAIN, 1, true) ~= 1 or not find(text, SECOND_LINE, 15) then return nil end
  local times
  if flag == 68 then
    times = byte(standing) == 112 and 3
  else
    times = find(standing, id, 2, true) == 2 and byte(standing) == (flag == 73 and 111 or 118) and 39
  end
  return times and is_whole(standing, times) and times
end

-- The highest priority that has ready items, and those that are asked for; none if there are none.
local function first_heads()
  local rank, found = 0, highest
  while #found == 0 and rank < 2 do
    rank = rank + 1
    found = call('ZRANGE', READY[rank], 0, wanted - 1)
  end
  return rank, found
end

-- As many as are asked for, of this priority and in their turns of lower ones, which are there: members, the priority of each, and
-- how often in a row lower ones are passed over then. Nothing if the lower ones don't last.
local function with_turns(rank, found, passed)
  local picked, ranks, at, places, heads = {}, {}, 0, {}, {}
  for n = 1, wanted do
    if passed + 1 < FAIRNESS then
      at, passed = at + 1, passed + 1
      picked[n], ranks[n] = found[at], rank
    else
      local from, first
      for lower = rank + 1, 2 do
        heads[lower] = heads[lower] or call('ZRANGE', READY[lower], 0, math.floor(wanted / FAIRNESS) + 2, 'WITHSCORES')
        places[lower] = places[lower] or 1
        local seq = tonumber(heads[lower][2 * places[lower]])
        if seq and (not first or seq < first) then from, first = lower, seq end
      end
      if not from then return nil end
      picked[n], ranks[n], passed = heads[from][2 * places[from] - 1], from, 0
      places[from] = places[from] + 1
    end
  end
  -- Nobody is passed over where nobody is left.
  local left = next(heads) == nil
  for lower, members in pairs(heads) do left = left or #members >= 2 * places[lower] end
  if left then return picked, ranks, passed end
end

-- Whether the right end of the list of old shows these, in turn.
local function shows(list, entries)
  local n = #entries
  local tail = call('LRANGE', list, -n, -1)
  if #tail ~= n then return false end
  for at = 1, n do
    if tail[n + 1 - at] ~= entries[at] then return false end
  end
  return true
end

local function write_plain(by_rank, fields, index, leases, active)
  -- What was not read yet is read or written first, so that a key of the wrong type is found before anything is written.
  if index[1] then call('ZCARD', INDEX) end
  call('RPUSH', AGES, now_text .. 'f' .. record_of_call)
  for rank, of_rank in pairs(by_rank) do
    call('ZREMRANGEBYRANK', READY[rank], 0, of_rank.many - 1)
    local entries = of_rank.entries
    if entries[1] then call('LTRIM', LISTS[rank], 0, -1 - #entries) end
  end
  if index[1] then call('ZREM', INDEX, unpack(index)) end
  call('ZADD', LEASES, unpack(leases))
  call('HSET', ACTIVE, unpack(active))
  call('HSET', DATA, unpack(fields))
end

-- What is left is woken for, one by one; of what is gone nobody needs to hear any more. Returns 1 if a list of old holds
-- entries that aren't ours.
local function tell_rest(exhausted)
  if exhausted then
    attempt('DEL', WAKE)
    -- Nothing of ours is there any more. What it is, who adopts it finds out.
    return call('EXISTS', QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW) > 0 and 1 or 0
  end
  if attempt('LLEN', WAKE) == 0 and call('EXISTS', READY_HIGH, READY_NORMAL, READY_LOW) > 0 then attempt('LPUSH', WAKE, '1') end
  return 0
end

-- Claim these, of this priority unless `ranks` says which; nothing if one of them is not plain.
local function claim_these(found, rank, ranks, passed)
  local many, asked = #found, { record_of_call, 'cd0', 'cd1', 'cd2' }
  for n = 1, many do
    local at, id = FIXED_FIELDS + 3 * n, sub(found[n], 1, 36)
    asked[at - 2], asked[at - 1], asked[at] = 'm' .. id, 'i' .. id, 'a' .. sub(found[n], 38)
  end
  local values = call('HMGET', DATA, unpack(asked))
  -- A repeat; an entry that isn't ours, by which another system runs an agent.
  if values[1] or call('HLEN', ACTIVE) ~= call('ZCARD', LEASES) then return nil end
  local by_rank, fields, index, leases, active, claimed, answer, busy = {}, {}, {}, {}, {}, {}, { 0, 0 }, {}
  for n = 1, many do
    local at, k, f = FIXED_FIELDS + 3 * n, 2 * n, #fields
    local id, agent, flag, token = sub(found[n], 1, 36), sub(found[n], 38), byte(found[n], 37), ARGV[4 + n]
    local text, body, standing = values[at - 2], values[at - 1], values[at]
    local times = not busy[agent] and not busy[id] and times_of(standing, flag, id, text, body)
    if not times then return nil end
    if n < many then busy[agent], busy[id] = true, true end
    text = claimed_text(text, standing, times, token)
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = asked[at - 2], text, asked[at], busy_text(standing, times, id)
    leases[k - 1], leases[k], active[k - 1], active[k] = lease_text, id, agent, host
    claimed[k - 1], claimed[k] = token, id
    answer[3 * n], answer[3 * n + 1], answer[3 * n + 2] = id, body, text
    local of_rank = by_rank[ranks and ranks[n] or rank]
    if not of_rank then
      of_rank = { many = 0, direct = 0, entries = {} }
      by_rank[ranks and ranks[n] or rank] = of_rank
    end
    of_rank.many = of_rank.many + 1
    if flag == 68 then
      of_rank.direct = of_rank.direct + 1
      index[#index + 1] = 'q' .. agent .. '\nq' .. id
    else
      of_rank.entries[#of_rank.entries + 1] = body
    end
  end
  local f = #fields
  fields[f + 1], fields[f + 2] = record_of_call, table.concat(claimed)
  for of, of_rank in pairs(by_rank) do
    if of_rank.entries[1] and not shows(LISTS[of], of_rank.entries) then return nil end
    if of_rank.direct > 0 then
      f = #fields
      fields[f + 1], fields[f + 2] = DIRECT_COUNTER[of], format('%d', (values[2 + of] or 0) - of_rank.direct)
    end
  end
  if passed then
    f = #fields
    fields[f + 1], fields[f + 2] = 'cp', format('%d', passed)
  end
  write_plain(by_rank, fields, index, leases, active)
  answer[2] = tell_rest(many < wanted)
  return answer
end

local function claim_all_plain()
  local rank, found = first_heads()
  -- Unless it is a repeat.
  if #found == 0 then return not call('HGET', DATA, record_of_call) and { 0, tell_rest(true) } end
  local lower = rank < 2 and (#found < wanted or FAIRNESS > 0) and call('EXISTS', READY[rank + 1], READY[2]) > 0
  if not lower then return claim_these(found, rank) end
  if #found < wanted then return nil end
  if FAIRNESS == 0 then return claim_these(found, rank) end
  local picked, ranks, passed = with_turns(rank, found, tonumber(call('HGET', DATA, 'cp') or 0))
  return picked and claim_these(picked, rank, ranks, passed)
end

local answered = wanted <= MOST_PLAIN and #ARGV == 4 + wanted and claim_all_plain()
if answered then return answered end
