-- What most calls that enqueue are: items that were never seen, of agents of which there is nothing to say. They are decided
-- together and then written, with no table that isn't theirs: those by which everything else is gathered cost more than
-- an item does. If one of them is anything else nothing has been written, and the rest of the script sees to all.

-- Of each item; and how many of them a single command can take.
local FIELDS, MOST_PLAIN = 6, 500
-- Where the name stands in a plain agent's record.
local NAME_AT = 74

local now_text = sorted(now)

-- What is known of an item that becomes ready at once.
local function ready_text(line, seq) return PLAIN .. line .. '\t' .. seq .. '\t' .. now_text .. '\tq\n' end

-- Whether there is nothing to say of the agent, and it has this name.
local function is_plain_agent(text, name)
  return byte(text) == 112 and find(text, name, NAME_AT, true) == NAME_AT and byte(text, NAME_AT + #name) == 9
end

-- The agent with its one open item, of a flag.
local function with_open(text, flag, id) return (flag == 86 and 'v' or 'o') .. id .. sub(text, 2) end

-- The counters, then what is known of each item and of its agent.
local COUNTERS = 10
local asked = { 'cs', 'cw0', 'cw1', 'cw2', 'ch0', 'ch1', 'ch2', 'cd0', 'cd1', 'cd2' }
for at = 4, #ARGV, FIELDS do
  local n = #asked
  asked[n + 1], asked[n + 2] = 'm' .. ARGV[at], 'a' .. ARGV[at + 1]
end

-- What is gathered for a priority.
local function begun(rank, values)
  local depth = call('ZCARD', READY[rank]) + (values[2 + rank] or 0) + (values[5 + rank] or 0)
  return { depth = depth, ready = {}, shown = {} }
end

local function write_plain(fields, ids, index, ranks, seq)
  -- A key of the wrong type is to be found before anything is written: by this, or by the first write.
  if index[1] then call('ZCARD', INDEX) end
  for rank, of_rank in pairs(ranks) do
    if of_rank.shown[1] then call('LLEN', LISTS[rank]) end
  end
  call('ZADD', ORDER, seq - #ids + 1, table.concat(ids))
  local n = #fields
  fields[n + 1], fields[n + 2] = 'cs', format('%d', seq)
  for rank, of_rank in pairs(ranks) do
    call('ZADD', READY[rank], unpack(of_rank.ready))
    if of_rank.shown[1] then call('LPUSH', LISTS[rank], unpack(of_rank.shown)) end
    if of_rank.directs then
      n = #fields
      fields[n + 1], fields[n + 2] = DIRECT_COUNTER[rank], format('%d', of_rank.directs)
    end
  end
  if index[1] then call('ZADD', INDEX, unpack(index)) end
  call('HSET', DATA, unpack(fields))
  readied = #ids
  wake()
end

local function add_all_plain(values)
  local many_items, seq = #ARGV > 3 + FIELDS, tonumber(values[1] or 0)
  local fields, ids, index, ranks, seen, answers = {}, {}, {}, {}, {}, {}
  for at = 4, #ARGV, FIELDS do
    local n = COUNTERS + (at - 4) / FIELDS * 2 + 1
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
    local r = #ready
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = 'i' .. id, ARGV[at + 4], record, ready_text(ARGV[at + 5], seq_text)
    ready[r + 1], ready[r + 2] = seq_text, id .. sub(ARGV[at + 3], 1, 1) .. agent
    ids[k + 1], answers[k + 1] = id, 'q'
    if flag == 68 then
      of_rank.directs = (of_rank.directs or values[8 + rank] or 0) + 1
      index[#index + 1] = '0'
      index[#index + 1] = 'q' .. agent .. '\nq' .. id
    else
      text = with_open(text, flag, id)
      fields[f + 5], fields[f + 6] = standing, text
      if many_items then seen[standing] = text end
      of_rank.shown[#of_rank.shown + 1] = ARGV[at + 4]
    end
  end
  write_plain(fields, ids, index, ranks, seq)
  return answers
end

if ARGV[2] ~= '' then check_fence(ARGV[2], ARGV[3]) end
if #asked > COUNTERS + 2 * MOST_PLAIN then
  read_together(asked)
else
  local values = call('HMGET', DATA, unpack(asked))
  local answers = add_all_plain(values)
  if answers then return answers end
  for n = 1, #asked do known[asked[n]] = values[n] end
end
