// The database locked by another program; in a file of its own, because SQLite's time-out is long.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertSentence, e2e, eventually, newThread, say, transcript } from './lib.mjs';
import { lock } from './lib-state.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

const LOCKED = /^the database \S+: begin: (database is locked|other writers took too long)$/;

function refusals(bench) {
	return bench.logEntries().filter(({ message }) => LOCKED.test(message)).length;
}

e2e('a locked database: 503 for new requests; an answer that arrives then is not lost',
	async (bench) => {
		bench.expectLog(LOCKED);
		const model = await modelServer(bench);
		const held = gate();
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		model.queue.push(words('hello', held.opened));
		const waiting = say(server, thread, 'first words');
		await eventually('the model is asked', () => model.requests.length === 1);
		const unlock = await lock(bench);
		const refused = server.request('POST', '/threads');
		held.open();
		assert.equal((await server.request('GET', '/health')).status, 200);
		assert.deepEqual(await transcript(server, thread), [['user', 'first words']]);
		const told = await refused;
		assertSentence(told, 503);
		assert.match(told.headers['retry-after'], /^\d+$/);
		// One for the new thread; one for the answer, if it has come already.
		assert.ok(refusals(bench) <= 2);
		await unlock();
		const answer = await waiting;
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello']);
		assert.equal((await say(server, thread, 'second words')).text.trimEnd(), 'hello');
		assert.deepEqual(await transcript(server, thread), [
			['user', 'first words'], ['assistant', 'hello'],
			['user', 'second words'], ['assistant', 'hello'],
		]);
	});

e2e('a database that is locked for a moment only makes a message wait', async (bench) => {
	const server = await bench.listen();
	const thread = await newThread(server);
	await say(server, thread, 'words');
	const unlock = await lock(bench);
	let done = false;
	const waiting = Promise.all([newThread(server), say(server, thread, 'more words')])
		.finally(() => { done = true; });
	await sleep(300);
	assert.equal(done, false, 'the lock holds nobody up');
	await unlock();
	const [, answer] = await waiting;
	assert.equal(answer.status, 200);
	assert.equal((await transcript(server, thread)).length, 4);
});
