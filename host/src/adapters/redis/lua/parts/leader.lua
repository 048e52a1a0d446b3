-- Who leads: the record in the hash, as long as the key that everybody sees names the same holder. What else stands in
-- that key is another system's word, or a Warren's whose record is gone: it holds the lease until the key ends.
local function leader()
  local kept = call('HMGET', LEADER, 'holder', 'term', 'until', 'host', 'address', 'since')
  local seen = call('GET', LEASE)
  local ends = tonumber(kept[3] or 0)
  if seen and seen ~= kept[1] then
    local left = call('PTTL', LEASE)
    -- Without an end it is looked at again in a while.
    if left < 0 then left = 60000 end
    return { holder = seen, host = '', term = 0, address = '', since = 0, remaining = left, foreign = true }
  end
  if seen and ends > now then
    return { holder = seen, host = kept[4], term = tonumber(kept[2]), address = kept[5], since = tonumber(kept[6]), remaining = ends - now }
  end
end

local function leader_reply(l) return { l.holder, l.host, l.term, l.address, l.since, l.remaining } end
