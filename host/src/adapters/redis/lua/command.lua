#!lua
-- An operator's word to a breaker, with its event, and the agent's items held or ready again. In bounded parts: call
-- again with 4 set while there is more.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 agent, 3 reset | force_open | disable, 4 1 if only the rest of the items is to be moved
-- Uses: base ranks writes signals agents items order places hold
-- Returns {1 if the agent is known, 1 if there is more}
local agent, command = ARGV[2], ARGV[3]
local KINDS = { reset = 'breaker_reset', force_open = 'breaker_forced_open', disable = 'breaker_disabled' }
local a = agent_of(agent)
if not a then return { 0, 0 } end
if ARGV[4] ~= '1' then
  if command == 'force_open' then
    a[A_MODE] = 'f'
  else
    for field = A_MODE, A_LOSSES do a[field] = 0 end
    a[A_MODE] = command == 'disable' and 'd' or 'a'
  end
  changed[agent] = true
  tell(KINDS[command], agent, '', '', 'by an operator')
end
local moved = 0
if command == 'force_open' then
  moved = hold_some(agent, a, 'the breaker is forced open')
else
  moved = ready_class(agent, a, 'b', MOST_AT_ONCE)
  if a[A_PAUSED] == 0 then moved = moved + ready_class(agent, a, 'h', MOST_AT_ONCE - moved) end
end
save()
return { 1, moved == MOST_AT_ONCE and 1 or 0 }
