-- SPDX-License-Identifier: MIT
--
-- The heartbeat: a write, which only a master takes, and the newest state. It changes nothing; unless
-- ARGV[2] is '1': then it changes something that can be waited for. KEYS: the head of the partition
-- and that of partition 0. ARGV[1]: the store's constant.
local call = redis.call
local constant, state = unpack(call('HMGET', KEYS[1], 'constant', 'state'))
if constant ~= ARGV[1] and (constant or call('HGET', KEYS[2], 'constant') ~= ARGV[1]) then
  return redis.error_reply('GONE the store was deleted')
end
-- A server that is out of memory takes an HDEL, and after it the rest of a script.
call('HDEL', KEYS[2], 'nothing')
if ARGV[2] == '1' then call('HSET', KEYS[2], 'beat', call('TIME')[1]) end
return state or string.rep('\0', 24)
