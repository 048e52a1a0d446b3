-- What most calls that enqueue are: items that were never seen, of agents of which there is nothing to say. They are decided
-- together and then written, with no table that isn't theirs: those by which everything else is gathered cost more than
-- an item does. If one of them is anything else nothing has been written, and the rest of the script sees to all.

-- Where the items begin; of each; and how many of them a single command can take.
local ITEMS_AT, FIELDS, MOST_PLAIN = 8, 6, 500
-- Where the name stands in a plain agent's record, and its times.
local NAME_AT, TIMES_AT = 74, 3

-- What is known of an item that becomes ready at once.
local function ready_text(line, seq) return PLAIN .. line .. '\t' .. seq .. '\t' .. now_text .. '\tq\n' end

-- Whether there is nothing to say of the agent, and it has this name.
local function is_plain_agent(text, name)
  return byte(text) == 112 and find(text, name, NAME_AT, true) == NAME_AT and byte(text, NAME_AT + #name) == 9
end

-- The agent with its one open item, of a flag.
local function with_open(text, flag, id) return (flag == 86 and 'v' or 'o') .. id .. sub(text, 2) end

-- The counters, what the token has claimed, and how often in a row lower priorities were passed over; then what is known of
-- each item and of its agent.
local FIXED_FIELDS = 12
local asked = { 'cs', 'cw0', 'cw1', 'cw2', 'ch0', 'ch1', 'ch2', 'cd0', 'cd1', 'cd2', 'k' .. ARGV[6], 'cp' }
for at = ITEMS_AT, #ARGV, FIELDS do
  local n = #asked
  asked[n + 1], asked[n + 2] = 'm' .. ARGV[at], 'a' .. ARGV[at + 1]
end

-- What is gathered for a priority.
local function begun(rank, values)
  local depth = call('ZCARD', READY[rank]) + (values[2 + rank] or 0) + (values[5 + rank] or 0)
  return { depth = depth, ready = {}, shown = {} }
end

-- Whether there is one of a lower priority than this item beside it, which is the best.
local function has_lower(best)
  for at = ITEMS_AT, #ARGV, FIELDS do
    if byte(ARGV[at + 3], 2) ~= byte(ARGV[best + 3], 2) then return true end
  end
end

-- Which item is claimed, and how often in a row lower ones are passed over then: the one that is named, if nothing is ready
-- before it, it is not the turn of a lower one, and no other system runs an agent. Else none.
local function claimed_at(values)
  if ARGV[6] == '' or values[11] or call('EXISTS', READY_HIGH, READY_NORMAL, READY_LOW) > 0 or call('HLEN', ACTIVE) ~= call('ZCARD', LEASES) then return 0 end
  local at = ITEMS_AT + (ARGV[7] - 1) * FIELDS
  if FAIRNESS == 0 or not has_lower(at) then return at end
  local passed = (values[12] or 0) + 1
  if passed < FAIRNESS then return at, passed end
  return 0
end

local function write_plain(fields, ids, index, ranks, seq, claimed, passed)
  -- A key of the wrong type is to be found before anything is written: by this, or by the first write.
  if index[1] then call('ZCARD', INDEX) end
  for rank, of_rank in pairs(ranks) do
    if of_rank.shown[1] then call('LLEN', LISTS[rank]) end
  end
  if claimed then call('LLEN', AGES) end
  call('ZADD', ORDER, seq - #ids + 1, table.concat(ids))
  local n = #fields
  fields[n + 1], fields[n + 2] = 'cs', format('%d', seq)
  for rank, of_rank in pairs(ranks) do
    if of_rank.ready[1] then call('ZADD', READY[rank], unpack(of_rank.ready)) end
    if of_rank.shown[1] then call('LPUSH', LISTS[rank], unpack(of_rank.shown)) end
    if of_rank.directs then
      n = #fields
      fields[n + 1], fields[n + 2] = DIRECT_COUNTER[rank], format('%d', of_rank.directs)
    end
  end
  if index[1] then call('ZADD', INDEX, unpack(index)) end
  readied = #ids
  if claimed then
    local record = 'k' .. ARGV[6]
    readied, n = readied - 1, #fields
    fields[n + 1], fields[n + 2] = record, ARGV[6] .. ARGV[claimed]
    if passed then fields[n + 3], fields[n + 4] = 'cp', format('%d', passed) end
    call('RPUSH', AGES, now_text .. 'f' .. record)
    call('ZADD', LEASES, lease_text, ARGV[claimed])
    call('HSET', ACTIVE, ARGV[claimed + 1], ARGV[4])
  end
  call('HSET', DATA, unpack(fields))
  wake()
end

local function add_all_plain(values)
  local many_items, seq = #ARGV >= ITEMS_AT + FIELDS, tonumber(values[1] or 0)
  local fields, ids, index, ranks, seen, answers = {}, {}, {}, {}, {}, {}
  local to_claim, passed = claimed_at(values)
  local claimed, claim
  for at = ITEMS_AT, #ARGV, FIELDS do
    local n = FIXED_FIELDS + (at - ITEMS_AT) / FIELDS * 2 + 1
    local id, agent, record, standing = ARGV[at], ARGV[at + 1], asked[n], asked[n + 1]
    local text, flag, rank = values[n + 1], byte(ARGV[at + 3]), byte(ARGV[at + 3], 2) - 48
    if many_items then
      if seen[record] then return nil end
      seen[record], text = true, seen[standing] or text
    end
    -- Those with an interval are looked at one by one.
    if values[n] or not text or flag == 88 or not is_plain_agent(text, ARGV[at + 2]) then return nil end
    local of_rank = ranks[rank] or begun(rank, values)
    ranks[rank] = of_rank
    if of_rank.depth >= MAX_QUEUE then return nil end
    of_rank.depth, seq = of_rank.depth + 1, seq + 1
    local seq_text, f, k, ready = format('%d', seq), #fields, #ids, of_rank.ready
    local known_of_it = ready_text(ARGV[at + 5], seq_text)
    ids[k + 1], answers[k + 1] = id, 'q'
    local claims = at == to_claim and is_whole(text, TIMES_AT)
    if claims then
      lease_to(ARGV[4], tonumber(ARGV[5]))
      known_of_it = claimed_text(known_of_it, text, TIMES_AT, ARGV[6])
      claimed, claim, text = at, known_of_it, busy_text(text, TIMES_AT, id)
    else
      local r = #ready
      ready[r + 1], ready[r + 2] = seq_text, id .. sub(ARGV[at + 3], 1, 1) .. agent
      if flag == 68 then
        of_rank.directs = (of_rank.directs or values[8 + rank] or 0) + 1
        index[#index + 1] = '0'
        index[#index + 1] = 'q' .. agent .. '\nq' .. id
      else
        text = with_open(text, flag, id)
        of_rank.shown[#of_rank.shown + 1] = ARGV[at + 4]
      end
    end
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = 'i' .. id, ARGV[at + 4], record, known_of_it
    if claims or flag ~= 68 then
      fields[f + 5], fields[f + 6] = standing, text
      if many_items then seen[standing] = text end
    end
  end
  write_plain(fields, ids, index, ranks, seq, claimed, passed)
  answers[#answers + 1] = claim
  return answers
end

if ARGV[2] ~= '' then check_fence(ARGV[2], ARGV[3]) end
if #asked > FIXED_FIELDS + 2 * MOST_PLAIN then
  read_together(asked)
else
  local values = call('HMGET', DATA, unpack(asked))
  local answers = add_all_plain(values)
  if answers then return answers end
  for n = 1, #asked do known[asked[n]] = values[n] end
end
