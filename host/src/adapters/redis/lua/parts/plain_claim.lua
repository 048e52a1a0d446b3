-- What most claims are: all that is asked for, or all that is there, is plain items of one priority, and nobody else's turn; or
-- nothing is ready.
-- They are decided together and then written, with no table that isn't theirs: those by which everything else is gathered
-- cost more than an item does. If anything is otherwise nothing has been written, and the rest of the script sees to all.

local MOST_PLAIN = 500
local host, wanted = ARGV[2], tonumber(ARGV[4])
local lease_end = now + tonumber(ARGV[3])
local lease_text, now_text = sorted(lease_end), sorted(now)
-- What stands between token and last start, and behind that, in the record of a claimed item.
local leased = '\t' .. lease_text .. '\t' .. now_text .. '\t'
local by_host = '\t' .. host .. '\t\t\t\t\t\t\t\n'
-- What the calls whose first token is this one have claimed: <token><id>…
local record_of_call = 'k' .. ARGV[5]

-- Where the times stand in what is known of the agent of a plain item, whose flag is this; nothing if it is not plain.
local function times_of(standing, flag, id, text, body)
  if flag == 88 or not text or not body or not standing or find(text, PLAIN, 1, true) ~= 1 then return nil end
  if flag == 68 then return byte(standing) == 112 and 3 end
  return find(standing, id, 2, true) == 2 and byte(standing) == (flag == 73 and 111 or 118) and 39
end

-- What is known of the item and of its agent, once it is claimed.
local function claimed_text(text, standing, times, token)
  return 'a\t' .. token .. leased .. sub(standing, times, times + 14) .. by_host .. sub(text, 15)
end
local function busy_text(standing, times, id) return 'b' .. id .. '\n' .. now_text .. sub(standing, times + 15) end

-- The highest priority that has ready items, and those that are asked for; none if there are none.
local function first_heads()
  local rank, found = 0, highest
  while #found == 0 and rank < 2 do
    rank = rank + 1
    found = call('ZRANGE', READY[rank], 0, wanted - 1)
  end
  return rank, found
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

local function write_plain(rank, many, fields, index, leases, active, entries)
  -- What was not read yet is read or written first, so that a key of the wrong type is found before anything is written.
  if index[1] then call('ZCARD', INDEX) end
  call('RPUSH', AGES, now_text .. 'f' .. record_of_call)
  call('ZREMRANGEBYRANK', READY[rank], 0, many - 1)
  if index[1] then call('ZREM', INDEX, unpack(index)) end
  call('ZADD', LEASES, unpack(leases))
  call('HSET', ACTIVE, unpack(active))
  if entries[1] then call('LTRIM', LISTS[rank], 0, -1 - #entries) end
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

local function claim_all_plain()
  local rank, found = first_heads()
  -- Unless it is a repeat.
  if #found == 0 then return not call('HGET', DATA, record_of_call) and { 0, tell_rest(true) } end
  local lower = rank < 2 and (#found < wanted or FAIRNESS > 0) and call('EXISTS', READY[rank + 1], READY[2]) > 0
  if lower and #found < wanted then return nil end
  local many, asked = #found, { 'cp', DIRECT_COUNTER[rank], record_of_call }
  for n = 1, many do
    local at, id = 3 * n, sub(found[n], 1, 36)
    asked[at + 1], asked[at + 2], asked[at + 3] = 'm' .. id, 'i' .. id, 'a' .. sub(found[n], 38)
  end
  local values = call('HMGET', DATA, unpack(asked))
  -- A repeat; somebody else's turn; an entry that isn't ours, by which another system runs an agent.
  if values[3] or lower and FAIRNESS > 0 and (values[1] or 0) + many >= FAIRNESS then return nil end
  if call('HLEN', ACTIVE) ~= call('ZCARD', LEASES) then return nil end
  local fields, index, leases, active, entries, claimed, answer, busy = {}, {}, {}, {}, {}, {}, { 0, 0 }, {}
  for n = 1, many do
    local at, k, f = 3 * n, 2 * n, #fields
    local id, agent, flag, token = sub(found[n], 1, 36), sub(found[n], 38), byte(found[n], 37), ARGV[4 + n]
    local text, body, standing = values[at + 1], values[at + 2], values[at + 3]
    local times = not busy[agent] and times_of(standing, flag, id, text, body)
    if not times then return nil end
    if n < many then busy[agent] = true end
    text = claimed_text(text, standing, times, token)
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = asked[at + 1], text, asked[at + 3], busy_text(standing, times, id)
    leases[k - 1], leases[k], active[k - 1], active[k] = lease_text, id, agent, host
    claimed[k - 1], claimed[k] = token, id
    answer[at], answer[at + 1], answer[at + 2] = id, body, text
    if flag == 68 then index[#index + 1] = 'q' .. agent .. '\nq' .. id else entries[#entries + 1] = body end
  end
  if entries[1] and not shows(LISTS[rank], entries) then return nil end
  local f = #fields
  fields[f + 1], fields[f + 2] = record_of_call, table.concat(claimed)
  if index[1] then fields[f + 3], fields[f + 4] = DIRECT_COUNTER[rank], format('%d', (values[2] or 0) - #index) end
  if lower and FAIRNESS > 0 then
    f = #fields
    fields[f + 1], fields[f + 2] = 'cp', format('%d', (values[1] or 0) + many)
  end
  write_plain(rank, many, fields, index, leases, active, entries)
  answer[2] = tell_rest(many < wanted)
  return answer
end

local answered = wanted <= MOST_PLAIN and #ARGV == 4 + wanted and claim_all_plain()
if answered then return answered end
