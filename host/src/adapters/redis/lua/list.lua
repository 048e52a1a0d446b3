#!lua flags=no-writes
-- Items in the order of enqueueing, in bounded parts.
-- KEYS: data order dead
-- ARGV: 1 time, 2 the place to go on after (empty: from the end that comes first), 3 how many, 4 1 if the oldest comes first;
--       then, each empty for any: 5 agent, 6 state, 7 type, 8 reason
-- Uses: base items
-- Returns {the place that it stopped at; 0 when there is no more, then for each item what `item_reply` says}
local MOST, MEMBERS_AT_ONCE = 1000, 20
local wanted, oldest_first = tonumber(ARGV[3]), ARGV[4] == '1'
local agent, state, type_, reason = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local answer, looked_at = { 0 }, 0

-- Tell of the item, if it is in this place and is asked for. True when there is enough.
local function look(id, seq)
  local m = item_of(id)
  looked_at = looked_at + 1
  if m and m[SEQ] == seq and (agent == '' or m[AGENT] == agent) and (state == '' or m[STATE] == state)
    and (type_ == '' or m[TYPE] == type_) and (reason == '' or m[REASON] == reason) then
    answer[#answer + 1] = item_reply(id)
  end
  if #answer <= wanted and looked_at < MOST then return false end
  answer[1] = seq
  return true
end

-- Look at the items of a member behind the place that the call goes on after.
local place = tonumber(ARGV[2])
local function look_through(member, first)
  local number = #member / 36
  for n = 1, number do
    local at = oldest_first and n or number + 1 - n
    local seq = first + at - 1
    local behind = not place or (oldest_first and seq > place) or (not oldest_first and seq < place)
    if behind and look(sub(member, 36 * at - 35, 36 * at), seq) then return true end
  end
end

-- Dead items have a set of their own, of members with one item each.
local set_of, edge = state == 'x' and DEAD or ORDER, ARGV[2]
local word, last = 'ZREVRANGEBYSCORE', '-inf'
if oldest_first then
  word, last = 'ZRANGEBYSCORE', '+inf'
  -- Other items of its member may be behind the place.
  edge = place and call('ZREVRANGEBYSCORE', set_of, place, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or edge
elseif place then
  edge = '(' .. place
end
if edge == '' then edge = oldest_first and '-inf' or '+inf' end
repeat
  local found = call(word, set_of, edge, last, 'WITHSCORES', 'LIMIT', 0, MEMBERS_AT_ONCE)
  local enough = #found < 2 * MEMBERS_AT_ONCE
  for n = 1, #found, 2 do
    edge = '(' .. found[n + 1]
    if look_through(found[n], tonumber(found[n + 1])) then
      enough = true
      break
    end
  end
until enough
return answer
