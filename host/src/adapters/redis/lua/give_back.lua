#!lua flags=allow-oom
-- Ends a claim without an activation having counted: id, attempt and priority are kept.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 item, 3 token, 4 delay in ms (empty: ready at once)
-- Uses: base ranks writes signals agents items order places
-- Returns 'returned'; a repeat too
-- Errors: STALE
local id, token = ARGV[2], ARGV[3]
local m = item_of(id)
if not m or m[STATE] ~= 'a' or m[TOKEN] ~= token then
  local claim = read('t' .. token)
  local ended = unpacked(claim, 't' .. token)
  if ended and ended[1] == id and ended[2] == 'returned' then return 'returned' end
  refuse('STALE', 'the claim has ended')
end
local a = agent_of(m[AGENT], m[NAME])
end_claim(id, token, 'returned', 0, 0)
m[RESUMED] = 1
if ARGV[4] == '' then
  put(id, m, a, 'q', '', 0, 0)
else
  -- It ran nothing: its start was none.
  a[A_STARTED] = m[BEFORE]
  put(id, m, a, 'd', LEFT_TO_OTHERS, now + tonumber(ARGV[4]), 0)
  release_waiting(m[AGENT], a)
end
save()
return 'returned'
