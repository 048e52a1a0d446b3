#!lua flags=allow-oom
-- Ends the claims of one host, now.
-- KEYS: data index queue_high queue_normal queue_low active failures backoff events wake
-- ARGV: 1 time, 2 host, 3 1 if it died under them, 4 seed of the jitter, 5 where to go on (empty: from the start)
-- Uses: base writes signals agents breaker items places lose
-- Returns {how many, where to go on; empty when there is no more}
local MOST = 500
seed(ARGV[4])
local from = ARGV[5] == '' and '[l' or '(' .. ARGV[5]
local leases = call('ZRANGEBYLEX', INDEX, from, '(m', 'LIMIT', 0, MOST)
local released = 0
for _, member in ipairs(leases) do
  local id = string.sub(member, 17)
  local m = item_of(id)
  if m and m[STATE] == 'a' and m[HOST] == ARGV[2] then
    lose(id, m, ARGV[3] == '1')
    released = released + 1
  end
end
save()
return { released, #leases == MOST and leases[MOST] or '' }
