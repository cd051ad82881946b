-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- Subjects that are still there: extends their life, notes when they were last seen.
-- ARGV[7] ttl ms, then for each subject its name, last_seen, how many devices of this node are up.
-- OK, and the numbers of those of which something is missing: to be said again
local stop = fence()
if stop then return stop end
local reply, own = { 'OK' }, 'd:' .. node .. '/'
local names = {} -- of those who are there
local scores = {} -- by role: last_seen, id, and so on; false: not a zset of ours

local function scores_of(role)
	if scores[role] == nil then
		scores[role] = key_length(base .. 'online:' .. role, 'zset') and {} or false
	end
	return scores[role]
end

-- How many devices of this node are there.
local function devices_count(flat)
	local there = 0
	for i = 1, #flat, 2 do
		if string.sub(flat[i], 1, #own) == own then there = there + 1 end
	end
	return there
end

local function refresh(name, last_seen, devices)
	local subject, state = base .. 'subject:' .. name, base .. 'state:' .. name
	local role, id = string.match(name, '^([^/]*)/(.*)$')
	local record = redis.pcall('HMGET', subject, 'status', 'last_seen')
	local flat, score = redis.pcall('HGETALL', state), scores_of(role)
	-- A key that is not ours: the next contribution will tell.
	if record.err or flat.err or not score then return true end
	if devices_count(flat) < devices or not record[1] then return false end
	names[#names + 1] = name
	if record[1] == 'offline' then return true end -- invisible: last_seen is frozen
	redis.call('PEXPIRE', subject, ARGV[7])
	if tonumber(record[2] or '0') < tonumber(last_seen) then
		redis.call('HSET', subject, 'last_seen', last_seen)
	end
	score[#score + 1] = last_seen
	score[#score + 1] = id
	return true
end

for i = 8, #ARGV, 3 do
	if not refresh(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])) then
		reply[#reply + 1] = (i - 8) / 3
	end
end
-- Evicted, or somebody else's for a while, the set of its subjects would be what the next boot of
-- this node goes by.
if #names > 0 then redis.call('SADD', base .. 'node:' .. node, unpack(names)) end
for role, score in pairs(scores) do
	if score and #score > 0 then
		redis.call('ZADD', base .. 'online:' .. role, 'GT', unpack(score))
	end
end
return reply
