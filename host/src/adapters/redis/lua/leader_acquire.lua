#!lua flags=allow-oom
-- Takes the lease and the next term, if it is free, not reserved for another host, and no better one that waits goes first.
-- Who does not get it waits from then on.
-- KEYS: leader lease candidates
-- ARGV: 1 time, 2 holder, 3 host, 4 address, 5 lease in ms, 6 score, 7 the newest term that the bidder knows, 8 for how
-- many ms it counts as waiting
-- Uses: base leader candidates
-- Returns {'won', term} | {'wait', ms} | {'held', holder, host (empty: another system's), term, address, since, ms left}
local holder, host, span, score, known_term = ARGV[2], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local current = leader()
local own = current and current.holder == holder and not current.foreign
if own and current.term > known_term then
  -- A repeat: the bidder counts its deadline from this one's sending.
  if span > current.remaining then
    call('HSET', LEADER, 'until', now + span)
    call('PEXPIRE', LEASE, span)
  end
  return { 'won', current.term }
end
local refusal, kept
if current and not own then
  refusal = { 'held', unpack(leader_reply(current)) }
else
  kept = call('HMGET', LEADER, 'term', 'until', 'reserved_host', 'reserved_until')
end
-- What it holds in a term that it knows is a lease that it gave up: it is free for it.
if not current then
  local wait = 0
  if tonumber(kept[4] or 0) > now then
    if kept[3] ~= host then wait = kept[4] - now end
  else
    local lines = call('HGETALL', CANDIDATES)
    local best = score
    for n = 1, #lines, 2 do
      local other = candidate(lines[n + 1])
      if not other then
        call('HDEL', CANDIDATES, lines[n])
      elseif lines[n] ~= holder and other > best then
        best = other
      end
    end
    -- Of a lease whose key somebody deleted the record goes on.
    local vacant = math.min(tonumber(kept[2] or 0), now)
    wait = vacant + math.min((best - score) * HEAD_START, LONGEST_HEAD_START) - now
  end
  if wait > 0 then refusal = { 'wait', wait } end
end
if refusal then
  call('HSET', CANDIDATES, holder, ARGV[6] .. ' ' .. string.format('%d', now + ARGV[8]) .. ' ' .. host)
  return refusal
end
local term = math.max(tonumber(kept[1] or 0), known_term) + 1
call('HSET', LEADER, 'term', term, 'holder', holder, 'host', host, 'address', ARGV[4], 'since', now, 'until', now + span,
  'reserved_host', '', 'reserved_until', 0)
call('SET', LEASE, holder, 'PX', span)
call('HDEL', CANDIDATES, holder)
return { 'won', term }
