#!lua
-- Pauses or resumes an agent: its items are held, or ready again. In bounded parts: call again while there is more.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 agent, 3 1 to pause or 0 to resume
-- Uses: base ranks writes signals agents items order places hold
-- Returns {1 if the agent is known, 1 if there is more}
local agent, paused = ARGV[2], tonumber(ARGV[3])
local a = agent_of(agent)
if not a then return { 0, 0 } end
if a[A_PAUSED] ~= paused then
  a[A_PAUSED] = paused
  changed[agent] = true
  tell(paused == 1 and 'agent_paused' or 'agent_resumed', agent, '', '', 'by an operator')
end
local moved = 0
if paused == 1 then
  moved = hold_some(agent, a, 'the agent is paused')
elseif a[A_MODE] ~= 'f' then
  moved = ready_class(agent, a, 'h', MOST_AT_ONCE)
end
save()
return { 1, moved == MOST_AT_ONCE and 1 or 0 }
