#!lua flags=no-writes
-- Agents whose breaker is not closed, in bounded parts: soonest first, forced-open ones last.
-- KEYS: data index
-- ARGV: 1 time, 2 the place to go on after (empty: from the first), 3 how many
-- Uses: base agents
-- Returns {now, the place that it stopped at, or empty when there is no more, then for each: {id, name, mode, failures,
--          exponent, healthy since, open until, probed, lease losses, last reason, last detail}}
local most = tonumber(ARGV[3])
local MODES = { a = 'automatic', f = 'forced_open', d = 'disabled' }
local found = call('ZRANGEBYLEX', INDEX, ARGV[2] == '' and '[b' or '(' .. ARGV[2], '(c', 'LIMIT', 0, most)
local records = {}
for n, member in ipairs(found) do records[n] = 'a' .. sub(member, 17) end
read_together(records)
local answer = { now, #found == most and found[#found] or '' }
for _, record in ipairs(records) do
  local id = sub(record, 2)
  local a = agent_of(id)
  if a then
    answer[#answer + 1] = { id, a[A_NAME], MODES[a[A_MODE]] or '', a[A_FAILURES], a[A_EXPONENT], a[A_HEALTHY], a[A_OPEN],
      a[A_PROBED], a[A_LOSSES], a[A_REASON], a[A_DETAIL] }
  end
end
return answer
