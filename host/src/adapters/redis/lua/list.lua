#!lua flags=no-writes
-- Items, newest first, in bounded parts.
-- KEYS: data order
-- ARGV: 1 time, 2 where to go on (empty: from the newest), 3 how many; then, each empty for any: 4 agent, 5 state, 6 type
-- Uses: base items
-- Returns {where to go on; empty when there is no more, then for each item what `item_reply` says}
local MOST = 1000
local from = ARGV[2] == '' and '+inf' or '(' .. ARGV[2]
local wanted = tonumber(ARGV[3])
local any = ARGV[4] .. ARGV[5] .. ARGV[6] == ''
local found = call('ZREVRANGEBYSCORE', ORDER, from, '-inf', 'WITHSCORES', 'LIMIT', 0, any and math.min(MOST, wanted) or MOST)
local answer = { found[#found] or '' }
for n = 1, #found, 2 do
  local id = found[n]
  local m = item_of(id)
  if m and (ARGV[4] == '' or m[AGENT] == ARGV[4]) and (ARGV[5] == '' or m[STATE] == ARGV[5])
    and (ARGV[6] == '' or m[TYPE] == ARGV[6]) then
    answer[#answer + 1] = item_reply(id)
    if #answer > wanted then
      answer[1] = found[n + 1]
      break
    end
  end
end
return answer
