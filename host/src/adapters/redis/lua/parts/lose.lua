-- The claim's host died: the item goes back to its old place with its attempt, and the agent is told of it.
local function lose(id, m)
  local a = agent_of(m[AGENT], m[NAME])
  end_claim(id, m[TOKEN], '', 0, 0)
  local state, note, due, by_breaker = 'q', '', 0, 0
  m[REASON] = 'lease_lost'
  local kind, detail = breaker_lease_lost(a)
  if kind then
    m[REASON] = 'host_killer'
    state, due, by_breaker = 'd', a[A_OPEN], 1
    note = 'the breaker is open: ' .. LEASE_LOSSES .. ' hosts in a row were lost'
    tell(kind, m[AGENT], '', '', detail)
  end
  note_end(a, m[REASON], "the claim's lease ran out")
  m[RESUMED] = 1
  put(id, m, a, state, note, due, by_breaker)
  if state ~= 'q' then release_waiting(m[AGENT], a) end
end
