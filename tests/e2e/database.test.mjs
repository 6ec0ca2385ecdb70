// The database in another process's hands; apart from other tests, for SQLite's patience is long.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { e2e, eventually, newThread, say, start, transcript } from './lib.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

// Longer than the ten seconds that SQLite itself waits for another's lock.
const HELD_MS = 10_500;

// Take SQLite's write lock; resolves to what gives it back.
async function lock(bench) {
	const shell = start('sqlite3', ['-bail', path.join(bench.state, 'assistants.db')], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	bench.onClose(() => shell.kill());
	shell.stdin.write('BEGIN IMMEDIATE;\nSELECT 1;\n');
	await once(shell.stdout, 'data');
	return async () => {
		shell.stdin.end('ROLLBACK;\n');
		assert.deepEqual(await shell.ended, { code: 0, signal: null });
	};
}

e2e('a database that is locked when the answer comes loses no answer', async (bench, t) => {
	if (spawnSync('sqlite3', ['--version']).status !== 0) {
		t.skip('there is no sqlite3');
		return;
	}
	bench.expectLog(/locked/);
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('hello', held.opened));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const waiting = say(server, thread, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	const unlock = await lock(bench);
	held.open();
	await sleep(HELD_MS);
	assert.equal((await server.request('GET', '/health')).status, 200);
	await unlock();
	const answer = await waiting;
	assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello']);
	assert.equal((await say(server, thread, 'second words')).text.trimEnd(), 'hello');
	assert.deepEqual(await transcript(server, thread), [
		['user', 'first words'], ['assistant', 'hello'],
		['user', 'second words'], ['assistant', 'hello'],
	]);
});
