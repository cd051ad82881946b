// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// One HTML file with everything in it: node build.js [FILE], by default build/panel/presence.html.
// Its policy lets run exactly the one script and the one style that are in it.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const sdk = join(here, "../../client-sdk/js");
const { build } = createRequire(join(sdk, "index.js"))("esbuild");
const file = resolve(process.argv[2] ?? join(here, "../../build/panel/presence.html"));

async function bundle(entry) {
	const result = await build({
		entryPoints: [join(here, "src", entry)], bundle: true, minify: true, write: false,
		format: "iife", target: "es2022", charset: "utf8", legalComments: "eof", logLevel: "warning",
		nodePaths: [join(sdk, "node_modules")], // mqtt.js
	});
	// What stands inside an element must not look like its end.
	return result.outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const [script, style] = [await bundle("main.js"), await bundle("style.css")];
const policy = [
	"default-src 'none'",
	`script-src ${hash(script)}`,
	`style-src ${hash(style)}`,
	"connect-src ws: wss:",
	"img-src data:",
	"worker-src blob:", // the timers of mqtt.js: a page's own sleep while it is not looked at
	"base-uri 'none'",
	"form-action 'none'",
].join("; ");

const parts = { csp: policy, script, style };
const html = readFileSync(join(here, "src/index.html"), "utf8")
	.replace(/\{\{(csp|script|style)\}\}/g, (_, name) => parts[name]);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, html);
const size = (bytes) => `${Math.round(bytes / 1000)} kB`;
console.log(`${file}: ${size(Buffer.byteLength(html))}, ${size(gzipSync(html).length)} compressed`);
