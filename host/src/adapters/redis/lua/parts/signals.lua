-- Wake-ups and events. A channel is named like the key whose change it tells of.

local MOST_WAKES = 64
-- Items that this script has made ready.
local readied = 0

-- One wake-up for each ready item, as far as anybody could be waiting. Best effort: who is not woken looks by itself.
local function wake()
  if readied == 0 then return end
  local left = attempt('LLEN', WAKE)
  if type(left) ~= 'number' then return end
  for _ = left + 1, math.min(left + readied, MOST_WAKES) do attempt('LPUSH', WAKE, '1') end
end

-- Record an event. Whoever may tell one calls `can_tell` before its first write.
local function can_tell() call('XLEN', EVENTS) end

local function tell(kind, agent, item, host, detail)
  local seq = call('HINCRBY', DATA, 'ce', 1)
  call('XADD', EVENTS, 'MAXLEN', '=', KEEP_EVENTS, seq .. '-0', 'at', now, 'kind', kind, 'agent', agent, 'item', item,
    'host', host, 'detail', detail)
  attempt('PUBLISH', EVENTS, seq)
end
