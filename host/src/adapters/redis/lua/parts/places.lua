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
local LISTS = { [0] = QUEUE_HIGH, QUEUE_NORMAL, QUEUE_LOW }
local READY = { [0] = READY_HIGH, READY_NORMAL, READY_LOW }

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
      show(LISTS[m[RANK]], push, entry_of(id))
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

-- The operator's reset of old: a field of `work:backoff` that is gone while the breaker is open and not yet due.
local function heed_reset(id, a)
  local open = a[A_MODE] == 'f' or (a[A_MODE] == 'a' and a[A_OPEN] > now)
  if not open or call('HEXISTS', BACKOFF, id) == 1 then return false end
  local was_forced = a[A_MODE] == 'f'
  for field = A_MODE, A_LOSSES do a[field] = 0 end
  a[A_MODE] = 'a'
  changed[id] = true
  ready_class(id, a, 'b', 1000)
  if was_forced and a[A_PAUSED] == 0 then ready_class(id, a, 'h', 1000) end
  tell('breaker_reset', id, '', '', 'its field of ' .. BACKOFF .. ' was deleted')
  return true
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
  flush()
  wake()
end

-- After a `save` in the middle: begin to gather anew.
local function forget_written()
  fields, nfields, gone, counts, shown, acting, outside, events, ended = {}, 0, {}, {}, {}, {}, {}, {}, {}
  items, altered, met, changed, stood, new, remade = {}, {}, {}, {}, {}, {}, {}
  added_ids, added_from, done_now = {}, nil, {}
end
