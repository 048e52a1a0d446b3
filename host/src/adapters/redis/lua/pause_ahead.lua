#!lua
-- Pauses an agent that is not known yet, by its name, or takes that back. The part `agents` heeds it when it meets the agent.
-- KEYS: data index active events
-- ARGV: 1 time, 2 name, 3 1 to pause or 0 to take it back
-- Uses: base writes
-- Returns 1, or 0 if an agent of this name is known
local from = 'n' .. ARGV[2] .. '\n'
if #call('ZRANGEBYLEX', INDEX, '[' .. from, '(' .. from .. '\255', 'LIMIT', 0, 1) > 0 then return 0 end
if ARGV[3] == '1' then stand('p' .. ARGV[2]) else vanish('p' .. ARGV[2]) end
flush()
return 1
