-- Effects, in one hash: `e<key>` an effect, packed; `d<kind>\n<agent>` how many on which UTC day, as `day:count`;
-- `t<agent>\n<thread>` how many in a thread.
local E_RESULT, E_TOKEN, E_DONE, E_THREAD, E_COUNTER, E_DAY = 1, 2, 3, 4, 5, 6
local today = math.floor(now / 86400000)

-- How many of a day counter are of this day.
local function of_day(counter, day)
  local kept = call('HGET', EFFECTS, counter)
  local kept_day, count = string.match(kept or '', '^(%d+):(%d+)$')
  if tonumber(kept_day) == day then return tonumber(count) end
  return 0
end

local function set_of_day(counter, day, count) call('HSET', EFFECTS, counter, day .. ':' .. count) end
