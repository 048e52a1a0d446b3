-- Wake-ups. (Other channels are named like the key whose change they tell of.)

local MOST_WAKES = 64
-- Items that this script has made ready.
local readied = 0

-- A wake-up for each ready item, unless there are some that nobody has taken: then nobody waits, and whoever comes to
-- wait takes one, claims, and leaves one behind if items are left. Best effort: who is not woken looks by itself.
local function wake()
  if readied == 0 or attempt('LLEN', WAKE) ~= 0 then return end
  local tokens = {}
  for n = 1, math.min(readied, MOST_WAKES) do tokens[n] = '1' end
  attempt('LPUSH', WAKE, unpack(tokens))
end
