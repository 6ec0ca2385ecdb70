// The time added to the first streamed piece: the model server sends one, and holds the rest back.

import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { QUICK, byTurns, goal, median, quantile, spread, table } from './lib-bench.mjs';
import { QUESTION, heldServer, programSite, question, responseStream, tryOut, withPlace }
	from './lib-sites.mjs';

export const title = 'Time added to the first streamed piece';

const ASKED_A_ROUND = QUICK ? 20 : 100;
const HOLD_MS = 3;

/** Time until the first piece of text, in ms, on a kept connection; reads the stream to its end. */
async function firstPiece(connection, head, body, marker, end) {
	let text = '', first;
	const begun = performance.now();
	connection.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
	while (!text.includes(end)) {
		const [piece] = await once(connection, 'data');
		text += piece;
		if (first === undefined && text.includes(marker)) first = performance.now() - begun;
	}
	return first;
}

async function measure(url, asked, paths, marker, end) {
	const { hostname, port } = new URL(url);
	const connection = net.connect({ host: hostname, port, noDelay: true });
	await once(connection, 'connect');
	const times = [];
	for (const path of paths) {
		const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n`
			+ `Content-Type: ${asked.type}\r\n`;
		times.push(await firstPiece(connection, head, asked.body, marker, end));
	}
	connection.destroy();
	return times;
}

export function run() {
	return withPlace(async (place) => {
		const events = responseStream();
		const at = events.findIndex(({ type }) => type.endsWith('.delta')) + 1;
		const model = await heldServer(place, events.slice(0, at), events.slice(at), HOLD_MS);
		const site = await programSite(place, model, { env: { ASSISTANTS_SYNC: 'normal' } });
		await place.open();
		await tryOut(site);
		const direct = { type: 'application/json', body: question('').BODY };
		const through = { type: 'text/plain', body: QUESTION };
		const times = await byTurns(['direct', 'through'], (name) => {
			if (name === 'direct') {
				const paths = Array(ASKED_A_ROUND).fill('/v1/responses');
				return measure(model.url, direct, paths, 'output_text.delta', 'response.completed');
			}
			const ids = fs.readFileSync(site.fresh(ASKED_A_ROUND), 'utf8').trim().split('\n');
			const paths = ids.map((id) => `/threads/${id}/messages`);
			return measure(site.url, through, paths, 'data: {"text"', '\r\n0\r\n\r\n');
		});
		return { raw: times, ...report(times) };
	});
}

function report(times) {
	const parts = { p50: 0.5, p95: 0.95, p99: 0.99 };
	const each = (name, part) => times[name].map((round) => quantile(round, part));
	const added = (part) => each('through', part).map((ms, i) => ms - each('direct', part)[i]);
	const row = (shown, figures) => [shown, ...Object.values(parts).map((part) =>
		spread(figures(part)))];
	return {
		tables: [table([['until the first piece, ms', ...Object.keys(parts)],
			row('from the model server', (part) => each('direct', part)),
			row('through nginx and assistants.fcgi', (part) => each('through', part)),
			row('added', added)])],
		goals: [goal('added to the first piece, p50', 'at most', 0.5, median(added(0.5)), ' ms')],
	};
}
