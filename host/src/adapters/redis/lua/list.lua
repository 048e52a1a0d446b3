#!lua flags=no-writes
-- Items in the order of enqueueing, in bounded parts.
-- KEYS: data order dead
-- ARGV: 1 time, 2 the place to go on after (empty: from the end that comes first), 3 how many, 4 1 if the oldest comes first;
--       then, each empty for any: 5 agent, 6 state, 7 type, 8 reason
-- Uses: base items
-- Returns {the place that it stopped at; 0 when there is no more, then for each item what `item_reply` says}
local MOST = 1000
local wanted, oldest_first = tonumber(ARGV[3]), ARGV[4] == '1'
local agent, state, type_, reason = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
-- Dead items have a set of their own.
local set_of = state == 'x' and DEAD or ORDER
local from = ARGV[2] ~= '' and '(' .. ARGV[2]
local most = math.min(MOST, agent .. type_ .. reason == '' and (state == '' or state == 'x') and wanted or MOST)
local found
if oldest_first then
  found = call('ZRANGEBYSCORE', set_of, from or '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, most)
else
  found = call('ZREVRANGEBYSCORE', set_of, from or '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, most)
end
local answer = { #found == 2 * most and found[#found] or 0 }
for n = 1, #found, 2 do
  local id = found[n]
  local m = item_of(id)
  if m and (agent == '' or m[AGENT] == agent) and (state == '' or m[STATE] == state)
    and (type_ == '' or m[TYPE] == type_) and (reason == '' or m[REASON] == reason) then
    answer[#answer + 1] = item_reply(id)
    if #answer > wanted then
      answer[1] = found[n + 1]
      break
    end
  end
end
return answer
