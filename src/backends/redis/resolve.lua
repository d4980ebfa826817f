-- SPDX-License-Identifier: MIT
--
-- What became of a commit; if it is not here, it never will be. KEYS: for each partition its head
-- and outcomes, then the head of partition 0. ARGV: the store's constant, session, sequence.
local call = redis.call
local constant, session, sequence = ARGV[1], ARGV[2], ARGV[3]
local last = #KEYS
for k = 1, last - 1, 2 do
  local found = call('HGET', KEYS[k], 'constant')
  if found ~= constant and (found or call('HGET', KEYS[last], 'constant') ~= constant) then
    return 'gone'
  end
end
-- A replica takes no HDEL. (A server that is out of memory does, and after it the rest of a script.)
if last > 2 then call('HDEL', KEYS[2], '') end
for k = 2, last - 1, 2 do
  local known = call('HGET', KEYS[k], session)
  if known then
    local own = string.sub(known, 1, 8)
    if own == sequence then return {string.sub(known, 13)} end
    if struct.unpack('>I8', own) > struct.unpack('>I8', sequence) then return 'later' end
  end
end
local burnt = string.char(2, 4, 0)
local now = struct.pack('>I4', call('TIME')[1])
for k = 2, last - 1, 2 do
  call('HSET', KEYS[k], session, sequence .. now .. burnt)
end
return {burnt}
