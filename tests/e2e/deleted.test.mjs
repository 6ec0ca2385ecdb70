// A thread that is deleted while its run goes on: nothing of the run is stored.

import assert from 'node:assert/strict';
import { e2e, eventually, newThread, say, transcript } from './lib.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

e2e('a deleted thread\'s run does not write into the next thread', async (bench) => {
	const model = await modelServer(bench);
	const [first, second] = [gate(), gate()];
	model.queue.push(words('for the first', first.opened), words('for the second', second.opened));
	const server = await bench.listen({ env: model.env });
	const deleted = await newThread(server);
	const unheard = say(server, deleted, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	const { status } = await server.request('DELETE', `/threads/${deleted}`);
	assert.equal(status, 204);
	const thread = await newThread(server);
	const waiting = say(server, thread, 'second words');
	await eventually('the model is asked again', () => model.requests.length === 2);
	first.open();
	assert.notEqual((await unheard).status, 200);
	second.open();
	assert.equal((await waiting).text.trimEnd(), 'for the second');
	assert.deepEqual(await transcript(server, thread),
		[['user', 'second words'], ['assistant', 'for the second']]);
});
