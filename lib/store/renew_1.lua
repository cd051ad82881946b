-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- Keeps the lease; carries the epoch, so that an idle node learns that it was fenced.
-- ARGV[6] lease ms, [7] up, or leaving: the last word before a clean stop, [8] stream length.
-- OK
local stop, h = fence()
if stop then return stop end
redis.call('SET', base .. 'lease:' .. node, boot, 'PX', ARGV[6])
if h.state ~= ARGV[7] then
	h.state = ARGV[7]
	holder_set(h)
	redis.call('XADD', base .. 'events', 'MAXLEN', '~', ARGV[8], '*', 't', 'node', 'node', node,
		'boot', boot, 'epoch', text(epoch), 'state', h.state)
end
return { 'OK' }
