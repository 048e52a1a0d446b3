#!lua
-- Pauses or resumes an agent: its items are held, or ready again. In bounded parts: call again while there is more.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, 2 agent, 3 1 to pause or 0 to resume, 4 where to go on (see `hold_some`; 'w' at first)
-- Uses: base writes signals agents items places hold
-- Returns {1 if the agent is known, where to go on; empty when there is no more}
local agent, paused = ARGV[2], tonumber(ARGV[3])
local a = agent_of(agent)
if not a then return { 0, '' } end
a[A_PAUSED] = paused
changed[agent] = true
local rest = ''
if paused == 1 then
  rest = hold_some(agent, a, 'the agent is paused', ARGV[4])
elseif a[A_MODE] ~= 'f' then
  rest = ready_class(agent, a, 'h', MOST_AT_ONCE) == MOST_AT_ONCE and 'w' or ''
end
save()
return { 1, rest }
