// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The panel, built into the world's folder and served; and what its stories share.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from './harness.mjs';

const run = promisify(execFile);

/** Built from its sources: { file, url, fileUrl }. */
export async function buildPanel(world) {
	const folder = world.newFolder('panel');
	const file = path.join(folder, 'presence.html');
	await run(process.execPath, [path.join(root, 'examples/admin-panel/build.js'), file]);
	const site = await world.site({ '/': folder });
	return { file, url: `${site.url}/presence.html`, fileUrl: pathToFileURL(file).href };
}

/** A link that connects by itself. */
export function linkOf({ url }, broker, client = '') {
	return `${url}#${new URLSearchParams({ broker, ...(client && { client }) })}`;
}

/** mqtt.js, as the library and the panel have it. */
export const mqtt = createRequire(path.join(root, 'client-sdk/js/index.js'))('mqtt');

/** A client of a broker that is connected; ends with the world. */
export async function connect(world, broker, options = {}) {
	const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, {
		reconnectPeriod: 0,
		...options,
	});
	client.on('error', () => {});
	world.onClose(() => client.endAsync(true));
	return client;
}

/** The row in the page of a subject's id. */
export const rowOf = (page, id) =>
	page.locator('.space .row').filter({ has: page.locator('.of-id').getByText(id, { exact: true }) });

/** The panel, connected and up to date. */
export async function openPanel(page, link, seconds = 20) {
	await page.goto('about:blank'); // so that a link that differs in its #part only is loaded too
	await page.goto(link);
	await page.locator('body[data-link=live]').waitFor({ timeout: seconds * 1000 });
}

/** Every row there is, scrolled through from top to end: [role, id, status word, note]. */
export async function allRows(page) {
	return page.evaluate(async () => {
		const frame = () => new Promise(requestAnimationFrame);
		const scroller = document.querySelector('.rows');
		const found = new Map();
		for (let y = 0; ; y += scroller.clientHeight) {
			scroller.scrollTop = y;
			await frame();
			await frame();
			for (const row of document.querySelectorAll('.space .row')) {
				const text = (part) => row.querySelector(part).textContent;
				found.set(row.getAttribute('aria-rowindex'),
					[text('.of-role'), text('.of-id'), text('.word'), text('.of-note')]);
			}
			if (y + scroller.clientHeight >= scroller.scrollHeight) break;
		}
		scroller.scrollTop = 0;
		return [...found.values()];
	});
}
