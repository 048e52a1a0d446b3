#!lua flags=allow-oom
-- Ends the claims of one host, now.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 host, 3 1 if it died under them, 4 seed of the jitter, 5 where to go on (empty: from the start)
-- Uses: base writes signals agents breaker items places lose
-- Returns {how many, where to go on; empty when there is no more}
local MOST = 500
seed(ARGV[4])
-- Leases may end at the same time: a score, and how many of it have been passed.
local from, passed = match(ARGV[5], '^(%S+) (%d+)$')
passed = tonumber(passed) or 0
local leases = call('ZRANGEBYSCORE', LEASES, from or 0, '+inf', 'WITHSCORES', 'LIMIT', passed, MOST)
local released = 0
for n = 1, #leases, 2 do
  local id, score = leases[n], leases[n + 1]
  if score ~= from then from, passed = score, 0 end
  local m = item_of(id)
  if m and m[STATE] == 'a' and m[HOST] == ARGV[2] then
    lose(id, m, ARGV[3] == '1')
    released = released + 1
  else
    passed = passed + 1
  end
end
save()
return { released, #leases == 2 * MOST and from .. ' ' .. passed or '' }
