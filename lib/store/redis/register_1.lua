-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- The first word on a connection: mints a higher epoch, so that whatever an abandoned connection
-- still has under way does nothing when it runs.
-- ARGV[3] the epoch and [4] the gen this boot knows (0: none yet), [7] 1 = may take a live lease,
-- [8] lease ms, [9] partitions, [10] stream length,
-- [11] pid, [12] host, [13] version.
-- OK, epoch, gen, mark, 1 = Redis lost what we wrote, 1 = say everything again, meta.rev, and who
-- held the node before: boot, host, pid
local take, partitions = ARGV[7] == '1', ARGV[9]
local wrong = shared_types()
if wrong then return wrong end
local meta = redis.call('HMGET', base .. 'meta', 'format', 'partitions', 'gen', 'rev',
	'overrides', 'epoch')
if (meta[1] and meta[1] ~= '1') or (meta[2] and meta[2] ~= partitions) then
	return { 'MISMATCH', meta[1] or '', meta[2] or '' }
end
local lease = base .. 'lease:' .. node
local before = holder_read(redis.call('HGET', base .. 'nodes', node))
local ours = before and before.boot == boot
if before and not ours and not take and before.state ~= 'leaving' then
	local left = redis.call('PTTL', lease)
	if left ~= -2 then return { 'HELD', before.boot, before.host, before.pid, left } end
end

local known = epoch > 0
local stored_gen = tonumber(meta[3] or '0')
-- Only they are gone; what else was applied still is.
local bare = meta[5] and redis.call('HLEN', base .. 'overrides') == 0
local lost = known and (not before or stored_gen < gen or
	(ours and (before.epoch < epoch or before.mark < acked)))
-- The verdict may not have reached the node that is to act on it: until it renews its lease, it is
-- told again. Even with the same epoch: what came to the verdict may have been an earlier word of this
-- boot that ran late, in a Redis that was back in the past, and it counts on from there.
-- Others found Redis in the past: marks need not tell, what a sweep took out may be back.
local resync = lost or (known and (bare or not ours or stored_gen > gen)) or
	(ours and before.state == 'resync' and before.epoch >= epoch)
local mark = (ours and not lost) and before.mark or acked
-- Should `nodes` be lost and the rest not, what an earlier boot left is older still.
epoch = math.max(epoch, tonumber(meta[6] or '0'))
for _, value in ipairs(redis.call('HVALS', base .. 'nodes')) do
	local h = holder_read(value)
	if h and h.epoch > epoch then epoch = h.epoch end
end
epoch = epoch + 1
local events = base .. 'events'
if bare then redis.call('HDEL', KEYS[1], 'overrides') end
if lost or bare or stored_gen == 0 then
	stored_gen = math.max(stored_gen, gen) + 1
	redis.call('HSET', KEYS[1], 'format', '1', 'partitions', partitions, 'gen', text[stored_gen])
	redis.call('XADD', events, 'MAXLEN', '~', ARGV[10], '*', 't', 'gen', 'node', node,
		'gen', text[stored_gen])
end
redis.call('HSET', KEYS[1], 'epoch', text[epoch])
holder_set({ boot = boot, epoch = epoch, mark = mark, state = resync and 'resync' or 'up', pid = ARGV[11],
	host = ARGV[12], version = ARGV[13] })
redis.call('SET', lease, boot, 'PX', ARGV[8])
redis.call('XADD', events, 'MAXLEN', '~', ARGV[10], '*', 't', 'node', 'node', node, 'boot', boot,
	'epoch', text[epoch], 'state', 'up')
before = before or { boot = '', host = '', pid = '' }
return { 'OK', epoch, stored_gen, mark, (lost or bare) and 1 or 0,
	resync and 1 or 0, tonumber(meta[4] or '0'),
	before.boot, before.host, before.pid }
