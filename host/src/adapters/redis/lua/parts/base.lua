-- The time, in milliseconds since the Unix epoch: Redis's own, unless ARGV[1] gives one (tests do).
local call, attempt = redis.call, redis.pcall
local sub, byte, find, match, format = string.sub, string.byte, string.find, string.match, string.format
local now
if ARGV[1] == '' then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = tonumber(ARGV[1])
end

-- Refuse, with a word that the caller sorts the refusal by.
local function refuse(word, detail) error({ err = word .. ' ' .. detail }) end

local function unreadable(field) refuse('CORRUPT', 'field ' .. field .. ' of ' .. DATA .. ' is unreadable') end

-- A value as it was packed; nil if it is not there, a refusal if it can't be what Warren wrote.
local function unpacked(text, field)
  if not text then return nil end
  local good, value = pcall(cmsgpack.unpack, text)
  if not good or type(value) ~= 'table' then unreadable(field) end
  return value
end

-- Fields of the data hash as they were read, or are to be written; false where there is none.
local known = {}
local function read_together(list)
  for from = 1, #list, 4000 do
    local till = math.min(from + 3999, #list)
    local values = call('HMGET', DATA, unpack(list, from, till))
    for n = from, till do known[list[n]] = values[n - from + 1] end
  end
end

local function read(field)
  local value = known[field]
  if value == nil then
    value = call('HGET', DATA, field)
    known[field] = value
  end
  return value
end

-- A number as text that sorts by its size: milliseconds and sequence numbers.
local function sorted(number)
  if number > 999999999999999 then number = 999999999999999 end
  return format('%015d', number)
end
