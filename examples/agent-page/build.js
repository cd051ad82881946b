// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The page as one HTML file with everything in it: node build.js [FILE], by default
// build/agent-page/agent.html. It works from any server, and opened from disk.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '../..');
const sdk = path.join(root, 'client-sdk/js/index.js');
const { buildSync } = createRequire(sdk)('esbuild');
const file = path.resolve(process.argv[2] ?? path.join(root, 'build/agent-page/agent.html'));

function bundle(entry) {
	const { outputFiles } = buildSync({
		entryPoints: [path.join(here, entry)],
		alias: { 'mosquitto-presence': sdk },
		bundle: true,
		minify: true,
		write: false,
		format: 'iife',
		target: 'es2022',
		charset: 'utf8',
		logLevel: 'warning',
	});
	// What stands inside an element must not look like its end.
	return outputFiles[0].text.trim().replaceAll('</script', '<\\/script');
}

const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const [script, style] = [bundle('page.js'), bundle('style.css')];
const policy = [
	"default-src 'none'",
	`script-src ${hash(script)}`,
	`style-src ${hash(style)}`,
	'connect-src ws: wss:',
	'worker-src blob:', // timers that keep their time in a hidden tab
	'img-src data:',
	"base-uri 'none'",
	"form-action 'none'",
].join('; ');
// A function, because "$&" in a bundle would mean something to replace().
const put = (html, pattern, text) => html.replace(pattern, () => text);

let html = readFileSync(path.join(here, 'index.html'), 'utf8');
html = put(html, /<script type="importmap">[^]*?<\/script>\n/, '');
html = put(html, /<script type="module".*<\/script>\n/, '');
html = put(html, /<link rel="stylesheet".*>/, `<style>${style}</style>`);
html = put(html, '<meta name="viewport"', `<meta http-equiv="Content-Security-Policy" content="${policy}">\n<meta name="viewport"`);
html = put(html, '</body>', `<script>${script}</script>\n</body>`);
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, html);
const kB = (bytes) => `${Math.round(bytes / 1000)} kB`;
console.log(`${file}: ${kB(Buffer.byteLength(html))}, ${kB(gzipSync(html).length)} compressed`);
