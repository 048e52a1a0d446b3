-- The leader's lease (I1): the key that everybody sees names this holder, and term and time are those of our own record.
local function check_fence(holder, term)
  local kept = call('HMGET', LEADER, 'holder', 'term', 'until')
  local held = kept[1] == holder and kept[2] == term and tonumber(kept[3]) > now
  if not held or call('GET', LEASE) ~= holder then refuse('FENCED', 'the lease is not held') end
end
