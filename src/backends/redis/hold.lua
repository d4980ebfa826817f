-- SPDX-License-Identifier: MIT
--
-- Makes commits keep what they replace, for five seconds from now. KEYS: the head of the partition
-- and that of partition 0. ARGV: the store's constant.
local call = redis.call
local constant, snap = unpack(call('HMGET', KEYS[1], 'constant', 'snap'))
if constant ~= ARGV[1] and (constant or call('HGET', KEYS[2], 'constant') ~= ARGV[1]) then
  return 0
end
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local left = snap and struct.unpack('>I8', snap) - now or 0
if left < 4000000 or left > 5000000 then  -- the latter: the server's clock was set back
  call('HSET', KEYS[1], 'snap', struct.pack('>I8', now + 5000000), 'constant', ARGV[1])
end
return 1
