#!lua flags=no-writes
-- Items in the order of enqueueing, in bounded parts.
-- KEYS: data index
-- ARGV: 1 time, 2 the place to go on after (empty: from the end that comes first), 3 how many, 4 1 if the oldest comes first;
--       then, each empty for any: 5 agent, 6 state, 7 type, 8 reason
-- Uses: base items
-- Returns {the place that it stopped at; 0 when there is no more, then for each item what `item_reply` says}
local MOST = 1000
local wanted, oldest_first = tonumber(ARGV[3]), ARGV[4] == '1'
local agent, state, type_, reason = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
-- Dead items have an index of their own.
local class = state == 'x' and 'x' or 'o'
local low, high = '[' .. class, '(' .. string.char(class:byte() + 1)
if ARGV[2] ~= '' and oldest_first then low = '(' .. class .. sorted(tonumber(ARGV[2])) .. '~' end
if ARGV[2] ~= '' and not oldest_first then high = '(' .. class .. sorted(tonumber(ARGV[2])) end
local most = math.min(MOST, agent .. type_ .. reason == '' and (state == '' or class == 'x') and wanted or MOST)
local found
if oldest_first then
  found = call('ZRANGEBYLEX', INDEX, low, high, 'LIMIT', 0, most)
else
  found = call('ZREVRANGEBYLEX', INDEX, high, low, 'LIMIT', 0, most)
end
local function seq_of(member) return tonumber(string.sub(member, 2, 16)) end
local answer = { #found == most and found[#found] and seq_of(found[#found]) or 0 }
for _, member in ipairs(found) do
  local id = string.sub(member, 17)
  local m = item_of(id)
  if m and (agent == '' or m[AGENT] == agent) and (state == '' or m[STATE] == state)
    and (type_ == '' or m[TYPE] == type_) and (reason == '' or m[REASON] == reason) then
    answer[#answer + 1] = item_reply(id, m)
    if #answer > wanted then
      answer[1] = seq_of(member)
      break
    end
  end
end
return answer
