-- What a claim makes of a plain item and of its agent.

local now_text = sorted(now)
-- What stands in the record of an item that is claimed now: between token and last start, and behind that; and when it ends.
local leased, by_host, lease_text

local function lease_to(host, span)
  lease_text = sorted(now + span)
  leased, by_host = '\t' .. lease_text .. '\t' .. now_text .. '\t', '\t' .. host .. '\t\t\t\t\t\t\t\n'
end

-- What is known of the item, and of its agent whose times stand there, once it is claimed.
local function claimed_text(text, standing, times, token)
  return 'a\t' .. token .. leased .. sub(standing, times, times + 14) .. by_host .. sub(text, 15)
end
local function busy_text(standing, times, id) return 'b' .. id .. '\n' .. now_text .. sub(standing, times + 15) end

-- Behind the times and a number it says how the last end was: the record of an agent is whole that far.
local function is_whole(standing, times)
  local last = byte(standing, times + 70)
  return last == 111 or last == 45
end
