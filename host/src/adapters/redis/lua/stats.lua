#!lua flags=no-writes
-- How many items are where.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead
-- ARGV: 1 time
-- Uses: base items
-- Returns {ready per rank (3), waiting per rank (3), held per rank (3), delayed, active, done, dead, agents in backoff,
--          ms that the oldest ready item has been ready, or -1, ms that the dead item has been dead that was enqueued
--          first, or -1}
local HEADS = 50
local READY = { READY_HIGH, READY_NORMAL, READY_LOW }
local answer = {}
-- Of an idle store there is little to ask.
local places = { READY_HIGH, READY_NORMAL, READY_LOW, DELAYED, LEASES, DEAD }
local some = call('EXISTS', unpack(places)) > 0
local function number_in(key) return some and call('ZCARD', key) or 0 end
for n = 1, 3 do answer[n] = number_in(READY[n]) end
local numbers = call('HMGET', DATA, 'cw0', 'cw1', 'cw2', 'ch0', 'ch1', 'ch2', 'cf')
for n = 1, 6 do answer[3 + n] = tonumber(numbers[n] or 0) end
answer[10], answer[11], answer[12] = number_in(DELAYED), number_in(LEASES), tonumber(numbers[7] or 0)
answer[13], answer[14] = number_in(DEAD), call('ZLEXCOUNT', INDEX, '[b', '(c')
-- Among those at the heads of the queues: older ones that became ready late are ahead of what has waited longest.
local heads = {}
for n = 1, 3 do
  local first = answer[n] > 0 and call('ZRANGE', READY[n], 0, HEADS - 1) or {}
  for _, member in ipairs(first) do heads[#heads + 1] = 'm' .. sub(member, 1, 36) end
end
read_together(heads)
local oldest
for _, field in ipairs(heads) do
  local m = item_of(sub(field, 2))
  if m and (not oldest or m[READY_AT] < oldest) then oldest = m[READY_AT] end
end
answer[15] = oldest and math.max(now - oldest, 0) or -1
local first_dead = answer[13] > 0 and call('ZRANGE', DEAD, 0, 0)[1]
local dead = first_dead and item_of(first_dead)
answer[16] = dead and math.max(now - dead[ENDED], 0) or -1
return answer
