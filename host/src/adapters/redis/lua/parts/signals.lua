-- Wake-ups. (Other channels are named like the key whose change they tell of.)

local MOST_WAKES = 64
-- Items that this script has made ready.
local readied = 0

-- One wake-up for each ready item, as far as anybody could be waiting. Best effort: who is not woken looks by itself.
local function wake()
  for _ = 1, math.min(readied, MOST_WAKES) do
    local left = attempt('LPUSH', WAKE, '1')
    if type(left) ~= 'number' then return end
    if left > MOST_WAKES then
      attempt('LPOP', WAKE)
      return
    end
  end
end
