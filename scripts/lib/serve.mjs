// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The files of a folder over HTTP, on a free loopback port, which it prints: node serve.mjs FOLDER
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

const folder = path.resolve(process.argv[2]);
const server = http.createServer(async (request, response) => {
	const { pathname } = new URL(request.url, 'http://localhost');
	try {
		const text = await readFile(path.join(folder, path.basename(pathname))); // no folders in it
		response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
		response.end(text);
	} catch {
		response.writeHead(404).end();
	}
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
