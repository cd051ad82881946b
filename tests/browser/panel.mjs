// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The panel, built into the world's folder and served; and what its stories share.
import { execFile } from 'node:child_process';
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
