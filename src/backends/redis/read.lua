-- SPDX-License-Identifier: MIT
--
-- Ranges with their records, for one read. ARGV: how many commands come first (where a MULTI cannot
-- be used), each with the number of its words; then, for each range: how many segments, both ends,
-- '1' if backwards, the most rows, '1' if records are wanted. KEYS: for each segment its sorted set
-- and its hash; then those of the commands. Answers what the commands gave; and last, or alone
-- without commands, for each range a list of fields and records for each segment.
local call = redis.call
local STEP = 4000  -- unpack() ends at 8,000
local all, answer = {}, {}
local commands = tonumber(ARGV[1])
local k, a = 0, 1
for n = 1, commands do
  local words = tonumber(ARGV[a + 1])
  if words < STEP then
    all[n] = call(unpack(ARGV, a + 2, a + 1 + words))
  else  -- an HMGET
    all[n] = {}
    for at = 3, words, STEP do
      local some = call('HMGET', ARGV[a + 3], unpack(ARGV, a + 1 + at, a + 1 + math.min(at + STEP - 1, words)))
      for i = 1, #some do table.insert(all[n], some[i]) end
    end
  end
  a = a + 1 + words
end
while a < #ARGV do
  local segments, from, to = tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3]
  local back, most, bodies = ARGV[a + 4] == '1', ARGV[a + 5], ARGV[a + 6] == '1'
  local lists = {}
  for n = 1, segments do
    local x, r = KEYS[k + 1], KEYS[k + 2]
    local fields = back and call('ZREVRANGEBYLEX', x, to, from, 'LIMIT', 0, most)
      or call('ZRANGEBYLEX', x, from, to, 'LIMIT', 0, most)
    local list = {fields}
    if bodies then
      for at = 1, #fields, STEP do
        list[#list + 1] = call('HMGET', r, unpack(fields, at, math.min(at + STEP - 1, #fields)))
      end
    end
    lists[n] = list
    k = k + 2
  end
  answer[#answer + 1] = lists
  a = a + 6
end
if commands == 0 then return answer end
all[commands + 1] = answer
return all
