// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Pictures of the panel: node panel-pictures.mjs writes those of the docs into docs/images, with a
// FOLDER all of them. Real ones: a broker with the plugin, people who come and go, Chromium. They are
// to be looked at, not compared.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { simulate } from '../../examples/admin-panel/simulate.js';
import { createWorld, poll, root, tick } from './harness.mjs';
import { buildPanel, linkOf } from './panel.mjs';

const folder = path.resolve(process.argv[2] ?? path.join(root, 'docs/images'));
mkdirSync(folder, { recursive: true });

// The same people in the same order each time.
function seeded(seed) {
	return () => {
		seed = (seed * 1664525 + 1013904223) % 2 ** 32;
		return seed / 2 ** 32;
	};
}

const SHOTS = [
	{ name: 'panel-light', width: 1440, height: 900, scheme: 'light', detail: true, docs: true },
	{ name: 'panel-dark', width: 1440, height: 900, scheme: 'dark', detail: true, docs: true },
	{ name: 'panel-wide', width: 1440, height: 900, scheme: 'light' },
	{ name: 'panel-phone-light', width: 390, height: 844, scheme: 'light' },
	{ name: 'panel-phone-dark', width: 390, height: 844, scheme: 'dark' },
	{ name: 'panel-phone-detail', width: 390, height: 844, scheme: 'light', detail: true },
	{ name: 'panel-phone-timeline', width: 390, height: 844, scheme: 'dark', tab: 'Timeline' },
	{ name: 'panel-lost', width: 1440, height: 900, scheme: 'light', lost: true },
	{ name: 'panel-connect', width: 1440, height: 900, scheme: 'light', connect: true },
];

const world = await createWorld();
try {
	const broker = await world.broker({
		options: { node: 'b1', control_open: 'true', device_topics: 'true' },
	});
	world.onClose(simulate(`mqtt://127.0.0.1:${broker.port}`, { every: 700, random: seeded(7) }));
	const proxy = await world.proxy(broker.wsPort);
	const panel = await buildPanel(world);
	const context = await world.browser();
	const page = await context.newPage();
	await tick(12_000); // so that some have been there for longer than others
	for (const shot of SHOTS) {
		if (!process.argv[2] && !shot.docs) continue;
		await page.goto('about:blank');
		await page.setViewportSize({ width: shot.width, height: shot.height });
		await page.emulateMedia({ colorScheme: shot.scheme });
		await page.goto(shot.connect ? panel.url : linkOf(panel, proxy.url, 'admin:ops:panel-*'));
		if (!shot.connect) {
			await page.getByText('Live', { exact: true }).waitFor();
			await poll(() => page.locator('#events li').count().then((n) => n > 12), 'things happen', 30);
		}
		if (shot.detail) await page.locator('.space .row', { hasText: 'grace' }).first().click();
		if (shot.tab) await page.getByRole('button', { name: shot.tab, exact: true }).click();
		if (shot.lost) {
			proxy.refuse(true);
			proxy.drop();
			await page.getByText('Connection lost at').waitFor();
		}
		await tick(700);
		await page.screenshot({ path: path.join(folder, `${shot.name}.png`) });
		proxy.refuse(false);
		console.log(`${shot.name}.png`);
	}
} finally {
	await world.close();
}
process.exit(0);
