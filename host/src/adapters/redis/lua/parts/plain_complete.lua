-- What most calls that complete are: claims that went well, of plain agents. They are decided together and then written, with
-- no table that isn't theirs: those by which everything else is gathered cost more than an item does. If one of them is
-- anything else nothing has been written, and the rest of the script sees to all.

-- Of each claim; and how many of them a single command can take.
local FIELDS, MOST_PLAIN = 6, 500
local NEVER = '000000000000000'
local now_text = sorted(now)

-- Where the second line of an item's record begins, if it is claimed with this token and nothing is noted on it.
local function line_of(text, token)
  if not text or sub(text, 1, 38) ~= 'a\t' .. token or byte(text, -1) ~= 10 then return nil end
  return find(text, '\n', 14, true)
end

-- The agent's name is the first field of the record's second line.
local function agent_at(text, line) return sub(text, line + 2, (find(text, '\t', line, true) or 0) - 1) end

-- What stands behind the times in the record of an agent that ended well, and of which this is said.
local function end_of(a, detail)
  if detail == '' then return 'o' .. sub(a, 110) end
  local before, behind = match(a, '^([^\t\n]*\t[^\t\n]*\t)[^\t\n]*(\t[^\t\n]*\n)', 110)
  return before and '-' .. before .. 'ok' .. behind .. detail
end

-- What is known of a plain agent whose active item this was; nothing if it isn't so.
local function well_text(a, id, detail)
  if not a or byte(a) ~= 98 or find(a, id, 2, true) ~= 2 then return nil end
  local last = end_of(a, detail)
  if not last then return nil end
  local started, times = sub(a, 39, 53), byte(a, 108)
  -- Somebody has cut or garbled it.
  if not times or times < 48 or times > 57 or not tonumber(sub(a, 99, 108)) then return nil end
  local healthy = find(a, NEVER, 84, true) == 84 and now_text or sub(a, 84, 98)
  -- How often it ended well, and once more.
  times = times < 57 and sub(a, 99, 107) .. string.char(times + 1) or format('%010d', sub(a, 99, 108) + 1)
  return 'p\n' .. started .. now_text .. started .. healthy .. times .. last
end

-- What is known of the item. Its second line is kept, and the note stands behind it.
local function done_text(text, line, token, generation, note)
  return 'e\t' .. token .. '\t\t\t\t\t' .. generation .. '\t\tok\t' .. now_text .. '\t\t\t' .. sub(text, line) .. note
end

local function is_watched(text, line) return byte(text, line + 1) == 87 end

local asked = {}
for at = 3, #ARGV, FIELDS do asked[#asked + 1] = 'm' .. ARGV[at] end

local function write_plain(fields, ids, names, watched)
  -- What was not read yet is read or written first, so that a key of the wrong type is found before anything is written.
  call('LLEN', AGES)
  call('HLEN', ACTIVE)
  call('ZREM', LEASES, unpack(ids))
  call('RPUSH', AGES, now_text .. 'e' .. table.concat(ids))
  call('HDEL', ACTIVE, unpack(names))
  call('HSET', DATA, unpack(fields))
  for n = 1, #watched do attempt('PUBLISH', DATA, watched[n]) end
end

local function complete_all_plain()
  local texts, lines, names, agents, seen = call('HMGET', DATA, unpack(asked)), {}, {}, { 'cf' }, {}
  local many = #asked
  for n = 1, many do
    local at, text = FIELDS * n - 3, texts[n]
    local line = ARGV[at + 2] == '0000ok' and ARGV[at + 5] ~= '' and not seen[asked[n]] and line_of(text, ARGV[at + 1])
    if not line then return nil end
    if n < many then seen[asked[n]] = true end
    local name = agent_at(text, line)
    lines[n], names[n], agents[n + 1] = line, name, 'a' .. name
  end
  local standings, fields, ids, watched, answers = call('HMGET', DATA, unpack(agents)), {}, {}, {}, {}
  for n = 1, many do
    local at, text, line, f = FIELDS * n - 3, texts[n], lines[n], 4 * n
    local id = ARGV[at]
    local standing = well_text(standings[n + 1], id, ARGV[at + 3])
    if not standing then return nil end
    fields[f - 3], fields[f - 2], fields[f - 1] = agents[n + 1], standing, asked[n]
    fields[f] = done_text(text, line, ARGV[at + 1], ARGV[at + 5], ARGV[at + 4])
    ids[n], answers[n] = id, 'done'
    if is_watched(text, line) then watched[#watched + 1] = id end
  end
  fields[4 * many + 1], fields[4 * many + 2] = 'cf', format('%d', (standings[1] or 0) + many)
  write_plain(fields, ids, names, watched)
  return answers
end

local answered = #asked <= MOST_PLAIN and complete_all_plain()
if answered then return answered end
