-- SPDX-License-Identifier: MIT
--
-- Gives the store another constant, unless something was committed. KEYS: the head of partition 0.
-- ARGV: the constant, the new one. Answers whether it has.
if redis.call('HGET', KEYS[1], 'constant') ~= ARGV[1] then
  return redis.error_reply('GONE the store was deleted')
end
if redis.call('HGET', KEYS[1], 'state') then return 0 end
redis.call('HSET', KEYS[1], 'constant', ARGV[2])
return 1
