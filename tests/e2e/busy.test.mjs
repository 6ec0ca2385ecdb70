// A thread that stays busy; in a file of its own, because the time-out takes half a minute.

import assert from 'node:assert/strict';
import { assertSentence, e2e, eventually, newThread, say, transcript } from './lib.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

e2e('a thread that is busy for 30 seconds: 409, and nothing of it is stored', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('one', held.opened));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const first = say(server, thread, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	assertSentence(await say(server, thread, 'second words'), 409);
	held.open();
	assert.equal((await first).text.trimEnd(), 'one');
	assert.deepEqual(await transcript(server, thread),
		[['user', 'first words'], ['assistant', 'one']]);
});
