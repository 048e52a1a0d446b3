#!lua flags=allow-oom
-- Ends a claim: the item is done, delayed for another try, or dead; breaker, cool-down and waiting items follow.
-- KEYS: data index queue_high queue_normal queue_low active failures backoff events wake
-- ARGV: 1 time, 2 item, 3 token, 4 reason, 5 detail, 6 note, 7 generation or empty, 8 seed of the jitter,
--       then each 1 or 0: 9 counted, 10 uses an attempt, 11 permanent, 12 cools down
-- Uses: base writes signals agents breaker items places
-- Returns {'done'} | {'dead'} | {'retry', due time, attempt}; a repeat gets the first answer
-- Errors: STALE
local SHORTEST_PAUSE = 1000
local id, token, reason, note = ARGV[2], ARGV[3], ARGV[4], ARGV[6]

local m = item_of(id)
if not m or m[STATE] ~= 'a' or m[TOKEN] ~= token then
  if m and m[STATE] == 'e' and m[TOKEN] == token then return { 'done' } end
  local claim = read('t' .. token)
  local ended = claim and #claim ~= 36 and unpacked(claim, 't' .. token)
  if ended and ended[1] == id and (ended[2] == 'dead' or ended[2] == 'retry') then
    return { ended[2], ended[3], ended[4] }
  end
  refuse('STALE', 'the claim has ended')
end
seed(ARGV[8])

local a = agent_of(m[AGENT], m[NAME])
if ARGV[7] ~= '' then m[GENERATION] = ARGV[7] end
note_end(a, reason, ARGV[5])
if reason == 'ok' then a[A_SUCCESS] = a[A_STARTED] end
local kind, detail = breaker_ended(a, reason, ARGV[9] == '1')
if ARGV[12] == '1' then
  a[A_COOL] = now + math.min(COOL_BASE * 2 ^ a[A_COOLS], COOL_MAX)
  a[A_COOLS] = a[A_COOLS] + 1
else
  a[A_COOL], a[A_COOLS] = 0, 0
end
changed[m[AGENT]] = true
if kind then tell(kind, m[AGENT], '', '', detail) end

local function settle()
  m[REASON] = reason
  if reason == 'ok' or m[TYPE] ~= 'direct' then
    finish(id, m, a, 'e', note)
    return { 'done' }
  end
  local uses_attempt, permanent, try = ARGV[10] == '1', ARGV[11] == '1', m[ATTEMPT]
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

local answer = settle()
release_waiting(m[AGENT], a)
save()
return answer
