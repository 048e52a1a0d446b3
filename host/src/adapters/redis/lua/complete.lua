#!lua flags=allow-oom
-- Ends claims: each item is done, delayed for another try, or dead; breaker, cool-down and waiting items follow.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 seed of the jitter, then for each: item, token, how (each 1 or 0: counted, uses an attempt, permanent, cools
--       down; then the reason), detail, note, generation or empty
-- Uses: base writes signals agents breaker items order places
-- Returns for each 'done' | {'dead'} | {'retry', due time, attempt} | 'stale'; a repeat gets the first answer
local SHORTEST_PAUSE = 1000
local FIELDS = 6
local NEVER = '000000000000000'
local done, stale = 'done', 'stale'
seed(ARGV[2])
local now_text = sorted(now)

local asked, agents, lines = {}, {}, {}
for at = 3, #ARGV, FIELDS do asked[#asked + 1] = 'm' .. ARGV[at] end
read_together(asked)
-- The agent's name is the first field of the record's second line.
for n = 1, #asked do
  local text = known[asked[n]]
  local line = text and find(text, '\n', 14, true) or 0
  -- Of an item that is not there, what there is of no agent.
  agents[n], lines[n] = 'a' .. (line > 0 and sub(text, line + 2, (find(text, '\t', line, true) or 0) - 1) or ''), line
end
read_together(agents)

-- What a claim that has ended is answered.
local function ended_before(id, token)
  local text = known['m' .. id]
  if text and sub(text, 1, 38) == 'e\t' .. token then return done end
  local claim = read('t' .. token)
  claim = unpacked(claim, 't' .. token)
  if claim and claim[1] == id and (claim[2] == 'dead' or claim[2] == 'retry') then return { claim[2], claim[3], claim[4] } end
  return stale
end

-- What stands behind the times in the record of an agent that ended well, and of which this is said.
local function end_of(a, detail)
  if detail == '' then return 'o' .. sub(a, 110) end
  local before, behind = match(a, '^([^\t\n]*\t[^\t\n]*\t)[^\t\n]*(\t[^\t\n]*\n)', 110)
  return before and '-' .. before .. 'ok' .. behind .. detail
end

-- The common case: a plain agent's activation went well.
local function end_plain(n, at, id, token, text)
  local line, a, agent = lines[n], known[agents[n]], sub(agents[n], 2)
  if met[agent] or not a or byte(a) ~= 98 or find(a, id, 2, true) ~= 2 or byte(text, -1) ~= 10 then return nil end
  local last = end_of(a, ARGV[at + 3])
  if not last then return nil end
  local started, times = sub(a, 39, 53), byte(a, 108)
  local healthy = find(a, NEVER, 84, true) == 84 and now_text or sub(a, 84, 98)
  -- How often it ended well, and once more.
  times = times < 57 and sub(a, 99, 107) .. string.char(times + 1) or format('%010d', sub(a, 99, 108) + 1)
  set(agents[n], 'p\n' .. started .. now_text .. started .. healthy .. times .. last)
  set(asked[n], 'e\t' .. token .. '\t\t\t\t\t' .. ARGV[at + 5] .. '\t\tok\t' .. now_text .. '\t\t\t' .. sub(text, line)
    .. ARGV[at + 4])
  local leases = for_key(removed, LEASES)
  leases[#leases + 1], done_now[#done_now + 1] = id, id
  acting[agent] = false
  if byte(text, line + 1) == 87 then ended[#ended + 1] = id end
  return done
end

local function settle(id, m, a, at)
  local token, how, note = ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  local reason = sub(how, 5)
  m[REASON] = reason
  if reason == 'ok' or m[TYPE] ~= 'direct' then
    finish(id, m, a, 'e', note)
    return done
  end
  local uses_attempt, permanent, try = byte(how, 2) == 49, byte(how, 3) == 49, m[ATTEMPT]
  local exhausted = uses_attempt and try >= MAX_ATTEMPTS
  if permanent or exhausted then
    if not permanent then note = note .. ' (attempt ' .. try .. ' of ' .. MAX_ATTEMPTS .. ')' end
    end_claim(id, token, 'dead', 0, 0)
    finish(id, m, a, 'x', note)
    return { 'dead' }
  end
  local wait
  if uses_attempt then
    wait = math.floor(math.min(RETRY_BASE * 2 ^ (try - 1), RETRY_MAX) * math.random())
    m[ATTEMPT] = try + 1
  else
    wait = math.max(math.min(COOL_BASE * 2 ^ math.max(a[A_COOLS] - 1, 0), COOL_MAX), SHORTEST_PAUSE)
  end
  m[RESUMED] = 0
  end_claim(id, token, 'retry', now + wait, m[ATTEMPT])
  put(id, m, a, 'd', note, now + wait, 0)
  return { 'retry', now + wait, m[ATTEMPT] }
end

local function end_item(id, at)
  local m = item_of(id)
  local a, how = agent_of(m[AGENT], m[NAME]), ARGV[at + 2]
  local reason = sub(how, 5)
  if ARGV[at + 5] ~= '' then m[GENERATION] = ARGV[at + 5] end
  note_end(a, reason, ARGV[at + 3])
  if reason == 'ok' then a[A_SUCCESS] = a[A_STARTED] end
  local kind, detail = breaker_ended(a, reason, byte(how) == 49)
  if byte(how, 4) == 49 then
    a[A_COOL] = now + math.min(COOL_BASE * 2 ^ a[A_COOLS], COOL_MAX)
    a[A_COOLS] = a[A_COOLS] + 1
  else
    a[A_COOL], a[A_COOLS] = 0, 0
  end
  changed[m[AGENT]] = true
  if kind then tell(kind, m[AGENT], '', '', detail) end
  local answer = settle(id, m, a, at)
  release_waiting(m[AGENT], a)
  -- For a repeat in the same call.
  known['m' .. id] = item_text(m)
  return answer
end

local function one(at)
  local id, token = ARGV[at], ARGV[at + 1]
  local n = (at + FIELDS - 3) / FIELDS
  local text = known[asked[n]]
  if not text or sub(text, 1, 38) ~= 'a\t' .. token then return ended_before(id, token) end
  local answer
  if ARGV[at + 2] == '0000ok' and ARGV[at + 5] ~= '' then answer = end_plain(n, at, id, token, text) end
  return answer or end_item(id, at)
end

local answers = {}
for at = 3, #ARGV, FIELDS do answers[#answers + 1] = one(at) end
save()
return answers
