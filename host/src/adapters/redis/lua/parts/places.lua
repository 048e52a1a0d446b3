-- Where items stand. Each has one place, by its state, and stands in the order of enqueueing besides:
--   queued      `ready_…` by priority: <id><flag><agent>, by sequence number; what a claim walks. Flags: D(irect),
--               I(nbox), V (discovery), X (either of these, with an interval to keep)
--   delayed     `delayed`: <id>, by due time          active   `leases`: <id>, by the lease's end
--   dead        `dead`: <id>, by sequence number      any      `order`, see the part of this name
--   done        `ages`, a list: <time>e<id><id>…; there is also what else is forgotten after an hour: <time>f<field>
-- The index is one sorted set whose members all have score 0 and begin with what they are about:
--   q<agent>\n<class><rank><seq><id>   of one agent: class w(aiting), h(eld), b (delayed by the breaker)
--   q<agent>\nq<id>                     its direct items that are ready
--   a<agent>  n<name>\n<agent>  b<until><agent>   agents, by id, by name, and those in backoff
--   p<name>                            an agent that is not known yet and will be paused
-- Counted per priority are waiting (cw), held (ch) and ready direct items (cd); and those that are done (cf).
local RANK_OF = { [QUEUE_HIGH] = 0, [QUEUE_NORMAL] = 1, [QUEUE_LOW] = 2 }

-- What is noted on an item that waits because a host could not run it.
local LEFT_TO_OTHERS = "the host that took it can't run the agent's plugin"

local function of_agent(id, m, class)
  if class == 'q' then return 'q' .. m[AGENT] .. '\nq' .. id end
  return 'q' .. m[AGENT] .. '\n' .. class .. m[RANK] .. sorted(m[SEQ]) .. id
end

local function ready_member(id, m)
  local flag = m[TYPE] == 'direct' and 'D' or m[INTERVAL] ~= 0 and 'X' or m[TYPE] == 'inbox' and 'I' or 'V'
  return id .. flag .. m[AGENT]
end

-- Items that are done by this script.
local done_now = {}

-- Put the item where it stands by its state, or (false) take it away from there.
local function stand_as(id, m, stands)
  local state = m[STATE]
  if state == 'q' then
    put_in(READY[m[RANK]], ready_member(id, m), stands and m[SEQ])
    if m[TYPE] == 'direct' then put_in(INDEX, of_agent(id, m, 'q'), stands and 0) end
  elseif state == 'a' then
    put_in(LEASES, id, stands and m[LEASED])
  elseif state == 'd' then
    put_in(DELAYED, id, stands and m[DUE])
    if m[BY_BREAKER] == 1 then put_in(INDEX, of_agent(id, m, 'b'), stands and 0) end
  elseif state == 'w' or state == 'h' then
    put_in(INDEX, of_agent(id, m, state), stands and 0)
  elseif state == 'x' then
    put_in(DEAD, id, stands and m[SEQ])
  elseif stands then
    done_now[#done_now + 1] = id
  end
end

-- The open items of the agent that one of this type merges into; nil for direct ones, which never merge.
local function open_items(a, m)
  if m[TYPE] == 'inbox' then return a[A_INBOX] end
  if m[TYPE] == 'discovery' then return a[A_DISCOVERY] end
end

local function open_item(a, m, id)
  local open = open_items(a, m)
  if open then open[#open + 1] = id end
end

local function shut_item(a, m, id)
  local open = open_items(a, m)
  for n = #(open or ''), 1, -1 do
    if open[n] == id then table.remove(open, n) end
  end
end

local function is_open(state) return state == 'q' or state == 'w' or state == 'd' or state == 'h' end

-- The item as the lists of old show it.
local function entry_of(id) return read('i' .. id) or '' end

-- Queued, waiting and held items of a priority: what its bound is about.
local function depth_of(rank)
  sure[READY[rank]] = true
  return call('ZCARD', READY[rank]) + (read('cw' .. rank) or 0) + (read('ch' .. rank) or 0)
    + (counts['cw' .. rank] or 0) + (counts['ch' .. rank] or 0)
end

-- How many entries its list of old should have.
local function shown_of(rank)
  flush_sets()
  return call('ZCARD', READY[rank]) - (read('cd' .. rank) or 0) - (counts['cd' .. rank] or 0)
end

-- Whether its list is being made anew and does not show this number yet.
local function is_unshown(rank, seq)
  local shown_from = tonumber(read('r' .. rank) or 0)
  return seq < shown_from
end

-- Show the item at this end of its list.
local function show_again(id, m, push)
  if push == 'LPUSH' or not is_unshown(m[RANK], m[SEQ]) then show(LISTS[m[RANK]], push, entry_of(id)) end
end

-- Take the item out of the state that it is in.
local function leave(id, m, a)
  local state = m[STATE]
  stand_as(id, m, false)
  if state == 'q' then
    if m[TYPE] == 'direct' then
      count('cd' .. m[RANK], -1)
    else
      show(LISTS[m[RANK]], 'LREM', entry_of(id))
    end
  elseif state == 'w' then
    a[A_WAITING] = a[A_WAITING] - 1
    count('cw' .. m[RANK], -1)
  elseif state == 'h' then
    count('ch' .. m[RANK], -1)
  elseif state == 'a' then
    a[A_ACTIVE] = ''
    acting[m[AGENT]] = false
    m[HOST], m[LEASED], m[PROBE] = '', 0, 0
  end
  if is_open(state) then shut_item(a, m, id) end
  changed[m[AGENT]] = true
end

-- Put the item into a state, whose fields are set already. `push` says at which end of its list of old it shows.
local function enter(id, m, a, state, push)
  m[STATE] = state
  stand_as(id, m, true)
  if state == 'q' then
    readied = readied + 1
    if m[TYPE] == 'direct' then
      count('cd' .. m[RANK], 1)
    else
      show_again(id, m, push)
    end
  elseif state == 'w' then
    a[A_WAITING] = a[A_WAITING] + 1
    count('cw' .. m[RANK], 1)
  elseif state == 'h' then
    count('ch' .. m[RANK], 1)
  elseif state == 'a' then
    a[A_ACTIVE] = id
    acting[m[AGENT]] = m[HOST]
  end
  if is_open(state) then open_item(a, m, id) end
  changed[m[AGENT]] = true
end

-- Where an item of the agent belongs now: state, note, due time, whether by the breaker.
local function place(a, m)
  if a[A_PAUSED] == 1 then return 'h', 'the agent is paused', 0, 0 end
  local state = breaker_state(a)
  if state == 'forced' then return 'h', 'the breaker is forced open', 0, 0 end
  if state == 'open' then return 'd', 'the breaker is open', a[A_OPEN], 1 end
  if state == 'half' and a[A_OPEN] > now then
    return 'd', 'the breaker is half-open and the next probe is not due', a[A_OPEN], 1
  end
  if a[A_ACTIVE] ~= '' then return 'w', '', 0, 0 end
  if m[TYPE] ~= 'direct' then
    if a[A_COOL] > now then return 'd', 'the agent cools down', a[A_COOL], 0 end
    local next_start = a[A_STARTED] + m[INTERVAL]
    if a[A_STARTED] ~= 0 and next_start > now and m[RESUMED] == 0 then
      return 'd', "the agent's interval between activations", next_start, 0
    end
  end
  return 'q', '', 0, 0
end

-- Move an item to where nobody runs it. It keeps its place in the order.
local function put(id, m, a, state, note, due, by_breaker)
  leave(id, m, a)
  m[NOTE], m[DUE], m[BY_BREAKER], m[READY_AT], m[TOKEN] = note, due, by_breaker, now, ''
  enter(id, m, a, state, 'RPUSH')
  save_item(id, m)
end

-- The first members of the agent's items of a class.
local function of_class(agent, class, most)
  flush_sets()
  local from = 'q' .. agent .. '\n' .. class
  return call('ZRANGEBYLEX', INDEX, '[' .. from, '(' .. from .. '~', 'LIMIT', 0, most)
end

-- Make the agent's best waiting item ready, unless one is active. Called by whatever takes an item from `queued` or
-- `active`: so none waits behind nothing. Returns its rank.
local function release_waiting(agent, a)
  if a[A_WAITING] == 0 or a[A_ACTIVE] ~= '' then return nil end
  local member = of_class(agent, 'w', 1)[1]
  if not member then return nil end
  local id = string.sub(member, -36)
  local m = item_of(id)
  if not m then refuse('CORRUPT', 'item ' .. id .. ' waits but is not there') end
  put(id, m, a, 'q', '', 0, 0)
  return m[RANK]
end

-- Make up to `most` items of a class ready. How many were.
local function ready_class(agent, a, class, most)
  local found = of_class(agent, class, most)
  for _, member in ipairs(found) do
    local id = string.sub(member, -36)
    local m = item_of(id)
    if m then put(id, m, a, 'q', '', 0, 0) else vanish(member) end
  end
  return #found
end

-- Note that a claim has ended, with the answer that a repeat gets.
local function end_claim(id, token, answer, at, try)
  if token == '' then return end
  set('t' .. token, cmsgpack.pack({ id, answer, at, try }))
  note_age('ft' .. token)
end

-- End an item: done or dead.
local function finish(id, m, a, state, note)
  leave(id, m, a)
  m[NOTE], m[DUE], m[BY_BREAKER], m[ENDED] = note, 0, 0, now
  enter(id, m, a, state)
  save_item(id, m)
  if m[WATCHED] == 'W' then ended[#ended + 1] = id end
end

-- Items that one step frees when a breaker was reset. Of an agent that has more, this stands among what is due, and sweeps go on.
local FREED_AT_ONCE, REST = 200, 'rest of '

-- The operator's reset of old: a field of `work:backoff` that is gone while the breaker is open and not yet due.
local function heed_reset(id, a)
  local open = a[A_MODE] == 'f' or (a[A_MODE] == 'a' and a[A_OPEN] > now)
  if not open or call('HEXISTS', BACKOFF, id) == 1 then return false end
  local was_forced = a[A_MODE] == 'f'
  for field = A_MODE, A_LOSSES do a[field] = 0 end
  a[A_MODE] = 'a'
  changed[id] = true
  local freed_now = ready_class(id, a, 'b', FREED_AT_ONCE)
  if was_forced and a[A_PAUSED] == 0 then freed_now = freed_now + ready_class(id, a, 'h', FREED_AT_ONCE - freed_now) end
  if freed_now == FREED_AT_ONCE then put_in(DELAYED, REST .. id, 0) end
  tell('breaker_reset', id, '', '', 'its field of ' .. BACKOFF .. ' was deleted')
  return true
end

-- The lists of old, as they are written. Who becomes active leaves from the right end, where it has to be looked for only if
-- somebody else has been there or some are left to others. Who leaves from elsewhere (a pause, a breaker that is forced open) is found by
-- its number, as a list stands in the order of its set but for what has come back to its end: LREM would compare all
-- entries, and everybody would wait the longer the more are queued.
--   l<rank>   how far from the left `adopt` has looked through the list, and when; or that it takes out what the list showed
--   r<rank>   it makes the list anew, which shows nothing with a lower number yet
local NEARBY, SHORT, LONG = 100, 1000, 50000
local AROUND, TRIES = 16, 6
local GONE = 'warren:gone'

-- The id in an entry of ours.
local function id_of(entry) return match(entry, '^{"id":"([%x%-]+)",') end

local function number_of(entry)
  local id = id_of(entry)
  return id and tonumber(match(read('m' .. id) or '', NUMBERED))
end

-- Take out what stands in these places, counted from the right, the leftmost first.
local function take_out(list, places)
  local n = #places
  if n == 0 then return end
  local right, left = places[1] < SHORT, call('LLEN', list) - places[n] <= SHORT
  for _, place in ipairs(places) do
    -- Far from both ends, the newest gets the place: moving all that stand behind it would take as long as LREM.
    call('LSET', list, -1 - place, (right or left) and GONE or call('LPOP', list))
  end
  if right or left then call('LREM', list, right and -n or n, GONE) end
end

-- The number in the middle of some, which a few that are out of their places don't move.
local function middle_of(window)
  local numbers = {}
  for at = 1, #window, math.max(math.floor(#window / 5), 1) do numbers[#numbers + 1] = number_of(window[at]) end
  table.sort(numbers)
  return numbers[math.ceil(#numbers / 2)]
end

-- Where the entry stands, counted from the right, if it is where its number says.
local function find_place(rank, list, entry, seq, length)
  local set_of = READY[rank]
  -- Direct items stand in the set only.
  local share = length / math.max(call('ZCARD', set_of), length)
  local at = math.floor(call('ZCOUNT', set_of, '-inf', '(' .. seq) * share)
  for _ = 1, TRIES do
    at = math.max(math.min(at, length - 1), 0)
    local from = math.max(at - AROUND, 0)
    local window = call('LRANGE', list, -1 - at - AROUND, -1 - from)
    for n = 1, #window do
      if window[n] == entry then return from + #window - n end
    end
    local there = middle_of(window)
    if not there then return nil end
    local between = call('ZCOUNT', set_of, '(' .. math.min(there, seq), '(' .. math.max(there, seq)) * share
    at = at + (there < seq and 1 or -1) * math.max(math.floor(between), 1)
  end
end

local function drop_far(rank, list, entry)
  local length = call('LLEN', list)
  if length <= SHORT then return end
  local seq = number_of(entry)
  if seq and is_unshown(rank, seq) then return end
  local place = seq and find_place(rank, list, entry, seq, length)
  if place then
    take_out(list, { place })
  elseif length <= LONG then
    call('LREM', list, -1, entry)
  end
  -- A longer one shows too many now: a sweep notices, and `adopt` looks for it in bounded parts.
end

-- The places of those that are wanted among the last ones, in bulk, and of what is left of them a little farther on. They are wanted no
-- more.
local function find_near(list, wanted, number)
  local places, near = {}, call('LRANGE', list, -number, -1)
  for at = 1, #near do
    if wanted[near[at]] then
      places[#places + 1] = #near - at
      wanted[near[at]] = nil
    end
  end
  return places
end

local function find_farther(list, wanted)
  local places, length = {}, call('LLEN', list)
  for entry in pairs(wanted) do
    local from_left = call('LPOS', list, entry, 'RANK', -1, 'MAXLEN', SHORT)
    if from_left then
      places[#places + 1] = length - 1 - from_left
      wanted[entry] = nil
    end
  end
  table.sort(places, function(one, other) return one > other end)
  return places
end

local function drop_shown(rank, list, entries)
  local n = #entries
  local tail = call('RPOP', list, n) or {}
  local same, others = #tail == n, {}
  for at = 1, #tail do
    same = same and tail[at] == entries[at]
    others[#tail + 1 - at] = tail[at]
  end
  if same then return end
  many('RPUSH', list, others)
  local wanted = {}
  for at = 1, n do wanted[entries[at]] = true end
  take_out(list, find_near(list, wanted, n + NEARBY))
  take_out(list, find_farther(list, wanted))
  for entry in pairs(wanted) do drop_far(rank, list, entry) end
end

local function write_steps(rank, list, steps)
  local at = 1
  while at <= #steps do
    local command, entries = steps[at], {}
    while steps[at] == command do
      entries[#entries + 1] = steps[at + 1]
      at = at + 2
    end
    if command == 'LREM' then drop_shown(rank, list, entries) else many(command, list, entries) end
  end
end

-- Places in lists, as `take_out` has them, of entries that go.
local freed = {}

local function write_lists()
  for list, places in pairs(freed) do take_out(list, places) end
  for list, steps in pairs(shown) do write_steps(RANK_OF[list], list, steps) end
end

-- Write everything that the script has decided.
local function save()
  save_agents()
  save_items()
  if added_from then put_in(ORDER, table.concat(added_ids), added_from) end
  if #done_now > 0 then
    note_age('e' .. table.concat(done_now))
    count('cf', #done_now)
  end
  flush_first()
  write_lists()
  flush_rest()
  wake()
end

-- After a `save` in the middle: begin to gather anew.
local function forget_written()
  fields, nfields, gone, counts, shown, acting, outside, events, ended = {}, 0, {}, {}, {}, {}, {}, {}, {}
  items, altered, met, changed, stood, new, remade = {}, {}, {}, {}, {}, {}, {}
  added_ids, added_from, done_now, freed = {}, nil, {}, {}
end
