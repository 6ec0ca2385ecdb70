// Faults of a model server: assertions that hold after each, and misbehaviour below HTTP.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEY, UPSTREAM_KEY, say, transcript } from './lib.mjs';
import { MARKER } from './lib-upstream.mjs';

/** Assert that an answer has neither a key nor the model server's words. */
export function assertSecretsKept({ headers, text }) {
	const shown = JSON.stringify(headers) + text;
	for (const key of [KEY, UPSTREAM_KEY]) assert.ok(!shown.includes(key), 'a key is shown');
	assert.ok(!shown.includes(MARKER), 'the model server\'s words are shown');
}

/** Assert that the log has one error, once, for everything that failed so far. */
export function assertCauseOnce(bench, cause) {
	const loud = bench.logEntries().filter(({ level }) => /error|warn/.test(level))
		.map(({ level, message }) => `${level}: ${message.slice(0, 500)}`);
	assert.equal(loud.length, 1, `lines in the log:\n${loud.join('\n')}`);
	assert.match(loud[0], /^error: /);
	assert.match(loud[0], cause);
}

/**
 * Assert that the text before a fault, 'first words', is stored, and that the thread still works.
 */
export async function assertThreadLives(site, thread) {
	const [first] = await transcript(site, thread);
	assert.deepEqual(first, ['user', 'first words']);
	const next = await say(site, thread, 'second words');
	assert.deepEqual([next.status, next.text.trimEnd()], [200, 'hello']);
	assert.deepEqual((await transcript(site, thread)).slice(-2),
		[['user', 'second words'], ['assistant', 'hello']]);
}

/** The head of an answer as bytes. */
export function head(status, ...lines) {
	return [`HTTP/1.1 ${status} Words`, ...lines, '', ''].join('\r\n');
}

export const STREAM = head(200, 'Content-Type: text/event-stream');

/** Write pieces directly to the socket, where numbers are pauses in ms, and close it. */
export function raw(...pieces) {
	return async ({ socket }) => {
		await write(socket, pieces);
		socket.end();
	};
}

/** The same, but reset the connection. */
export function rawReset(...pieces) {
	return async ({ socket }) => {
		await write(socket, pieces);
		// Let the data leave before the reset discards it.
		await sleep(50);
		socket.resetAndDestroy();
	};
}

/** The same, but keep the connection open. */
export function rawHeld(...pieces) {
	return ({ socket }) => write(socket, pieces);
}

/** Write `pieces`, then `piece()` forever, as fast as it is read, or every `pause_ms`. */
export function endless(pieces, piece, pause_ms = 0) {
	return async ({ socket }) => {
		await write(socket, pieces);
		while (!socket.destroyed) {
			const full = !socket.write(piece());
			if (pause_ms > 0) await sleep(pause_ms);
			else if (full) await room(socket);
		}
	};
}

async function write(socket, pieces) {
	for (const piece of pieces) {
		if (typeof piece === 'number') await sleep(piece);
		else if (!socket.write(piece)) await room(socket);
	}
}

// Wait until more can be written, or the peer has gone.
async function room(socket) {
	if (socket.destroyed) return;
	const over = new AbortController();
	const { signal } = over;
	await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
		.catch(() => {});
	over.abort();
}
