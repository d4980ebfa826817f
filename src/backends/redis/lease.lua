-- SPDX-License-Identifier: MIT
--
-- The lease of a partition. KEYS: its head, that of partition 0. ARGV: the store's constant, what is
-- to be done (take, leave, renew, release), a token, who asks, how long it lasts in microseconds.
-- Who asks for it and does not get it waits in `queue`, under the token that it will have; who has
-- not asked again for half a second waits no more.
local call, sub = redis.call, string.sub
local pack, unpacked = struct.pack, struct.unpack
local h, what, token, who = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local duration = tonumber(ARGV[5])
local WAITS = 500000
local head = call('HMGET', h, 'constant', 'state', 'lease', 'queue')
if head[1] ~= ARGV[1] and (head[1] or call('HGET', KEYS[2], 'constant') ~= ARGV[1]) then
  return redis.error_reply('GONE the store was deleted')
end
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local state, lease, queue = head[2] or string.rep('\0', 24), head[3], head[4] or ''
local left = lease and unpacked('>I8', lease, 9) - now or 0
if left > duration then left = 0 end  -- the server's clock was set back
local own = left > 0 and sub(lease, 1, 8) == token

local function hold()
  call('HSET', h, 'lease', token .. pack('>I8', now + duration) .. who, 'constant', ARGV[1])
  return {1, duration, state}
end

if what == 'renew' then
  if own then return hold() end
  return {0}
end
if what == 'release' then
  if own then call('HDEL', h, 'lease') end
  return {own and 1 or 0}
end

local waiting, place = {}, 0
for at = 1, #queue, 16 do
  local one, asked = sub(queue, at, at + 7), unpacked('>I8', queue, at + 8)
  if one == token then
    if what == 'take' then
      waiting[#waiting + 1] = token .. pack('>I8', now)
      place = #waiting
    end
  elseif asked <= now and asked + WAITS > now then
    waiting[#waiting + 1] = sub(queue, at, at + 15)
  end
end
local answer
if what == 'take' then
  if place == 0 then
    waiting[#waiting + 1] = token .. pack('>I8', now)
    place = #waiting
  end
  if own or (left <= 0 and place == 1) then
    table.remove(waiting, place)
    answer = hold()
  else
    answer = {0, math.max(left, 0), place, lease and sub(lease, 17) or ''}
  end
elseif own then
  call('HDEL', h, 'lease')
end
local rest = table.concat(waiting)
if rest == '' then
  if queue ~= '' then call('HDEL', h, 'queue') end
elseif rest ~= queue then
  call('HSET', h, 'queue', rest, 'constant', ARGV[1])
end
return answer or {0}
