// A model server that lets a client wait: node model.mjs FIRST REST HOLD_MS
//
// It sends the file FIRST at once, and REST after so many milliseconds; with -1 when it is told so, by
// POST /release. GET /held answers how many wait. It prints its port.

import fs from 'node:fs';
import http from 'node:http';

const [first, rest] = process.argv.slice(2, 4).map((file) => fs.readFileSync(file));
const hold_ms = Number(process.argv[4]);
const held = new Set();

function hold(response) {
	response.writeHead(200, { 'content-type': 'text/event-stream',
		'content-length': first.length + rest.length });
	response.flushHeaders();
	response.write(first);
	const finish = () => response.end(rest);
	if (hold_ms >= 0) {
		setTimeout(finish, hold_ms);
		return;
	}
	held.add(finish);
	response.once('close', () => held.delete(finish));
}

const server = http.createServer((request, response) => {
	request.resume();
	request.once('end', () => {
		if (request.url === '/held') response.end(String(held.size));
		else if (request.url !== '/release') hold(response);
		else {
			response.end();
			held.forEach((finish) => finish());
		}
	});
});
server.keepAliveTimeout = 0;
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(server.address().port));
