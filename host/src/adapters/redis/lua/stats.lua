#!lua flags=no-writes
-- How many items are where.
-- KEYS: data index
-- ARGV: 1 time
-- Uses: base items
-- Returns {ready per rank (3), waiting per rank (3), held per rank (3), delayed, active, done, dead, agents in backoff,
--          ms that the oldest ready item has been ready, or -1, ms that the dead item has been dead that was enqueued
--          first, or -1}
local HEADS = 50
local answer = {}
for rank = 0, 2 do answer[rank + 1] = call('ZLEXCOUNT', INDEX, '[r' .. rank, '(r' .. rank + 1) end
local counts = call('HMGET', DATA, 'cw0', 'cw1', 'cw2', 'ch0', 'ch1', 'ch2')
for n = 1, 6 do answer[3 + n] = tonumber(counts[n] or 0) end
for n, class in ipairs({ 'd', 'l', 'e', 'x', 'b' }) do
  answer[9 + n] = call('ZLEXCOUNT', INDEX, '[' .. class, '(' .. string.char(class:byte() + 1))
end
-- Among those at the heads of the queues: older ones that became ready late are ahead of what has waited longest.
local oldest
for rank = 0, 2 do
  for _, member in ipairs(call('ZRANGEBYLEX', INDEX, '[r' .. rank, '(r' .. rank + 1, 'LIMIT', 0, HEADS)) do
    local m = item_of(string.sub(member, 18, 53))
    if m and (not oldest or m[READY_AT] < oldest) then oldest = m[READY_AT] end
  end
end
answer[15] = oldest and math.max(now - oldest, 0) or -1
local first_dead = call('ZRANGEBYLEX', INDEX, '[x', '(y', 'LIMIT', 0, 1)[1]
local dead = first_dead and item_of(string.sub(first_dead, 17))
answer[16] = dead and math.max(now - dead[ENDED], 0) or -1
return answer
