// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What a page has to load, for README.md: node sizes.mjs
import { buildSync } from 'esbuild';
import { gzipSync } from 'node:zlib';

const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const rows = [
	['the library', { external: ['mqtt'] }],
	['the library with mqtt.js', {}],
];
for (const [name, how] of rows) {
	const { outputFiles } = buildSync({
		entryPoints: [new URL('index.js', import.meta.url).pathname],
		bundle: true,
		minify: true,
		format: 'esm',
		platform: 'browser',
		write: false,
		...how,
	});
	const { contents } = outputFiles[0];
	console.log(`| ${name} | ${kB(contents.length)} | ${kB(gzipSync(contents).length)} |`);
}
