#!lua flags=allow-oom
-- Takes the lease and the next term, if it is free and not reserved for another host.
-- KEYS: leader lease
-- ARGV: 1 time, 2 holder, 3 host, 4 address, 5 lease in ms
-- Uses: base leader
-- Returns {'won', term} | {'held'} | {'held', holder, host (empty: another system's), term, address, since, ms left}
local holder, span = ARGV[2], tonumber(ARGV[5])
local current = leader()
if current and current.holder == holder and not current.foreign then
  -- A repeat: the bidder counts its deadline from this one's sending.
  if now + span > now + current.remaining then
    call('HSET', LEADER, 'until', now + span)
    call('PEXPIRE', LEASE, span)
  end
  return { 'won', current.term }
end
if current then return { 'held', unpack(leader_reply(current)) } end
local reserved = call('HMGET', LEADER, 'reserved_host', 'reserved_until')
if tonumber(reserved[2] or 0) > now and reserved[1] ~= ARGV[3] then return { 'held' } end
local term = call('HINCRBY', LEADER, 'term', 1)
call('HSET', LEADER, 'holder', holder, 'host', ARGV[3], 'address', ARGV[4], 'since', now, 'until', now + span,
  'reserved_host', '', 'reserved_until', 0)
call('SET', LEASE, holder, 'PX', span)
return { 'won', term }
