#!lua flags=allow-oom
-- Ends claims: each item is done, delayed for another try, or dead; breaker, cool-down and waiting items follow.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 seed of the jitter, then for each: item, token, how (each 1 or 0: counted, uses an attempt, permanent, cools
--       down; then the reason), detail, note, generation or empty
-- Uses: base ranks plain_complete writes signals agents breaker items order places
-- Returns for each 'done' | {'dead'} | {'retry', due time, attempt} | 'stale'; a repeat gets the first answer
local SHORTEST_PAUSE = 1000
local done, stale = 'done', 'stale'
seed(ARGV[2])

read_together(asked)
local agents, lines = {}, {}
for n = 1, #asked do
  local text = known[asked[n]]
  local line = text and find(text, '\n', 14, true) or 0
  -- Of an item that is not there, what there is of no agent.
  agents[n], lines[n] = 'a' .. (line > 0 and agent_at(text, line) or ''), line
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

-- The common case: a plain agent's activation went well.
local function end_plain(n, at, id, token, text)
  local line, agent = lines[n], sub(agents[n], 2)
  local standing = not met[agent] and byte(text, -1) == 10 and well_text(known[agents[n]], id, ARGV[at + 3])
  if not standing then return nil end
  set(agents[n], standing)
  set(asked[n], done_text(text, line, token, ARGV[at + 5], ARGV[at + 4]))
  local leases = for_key(removed, LEASES)
  leases[#leases + 1], done_now[#done_now + 1] = id, id
  acting[agent] = false
  if is_watched(text, line) then ended[#ended + 1] = id end
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
