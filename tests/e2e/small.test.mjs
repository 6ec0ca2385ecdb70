// The program in the address space that shared hosts give to a process.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { PROGRAM, assertSentence, e2e, eventually, newThread, say } from './lib.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

const SANITIZED = fs.readFileSync(PROGRAM).includes('__asan_init');

// A test of the program below limits of the shell's ulimit.
function limited(name, limits, body) {
	e2e(name, async (bench, t) => {
		if (SANITIZED) return t.skip('AddressSanitizer reserves terabytes for itself');
		const lines = ['#!/bin/sh', ...limits.map((one) => `ulimit ${one} || exit`),
			`exec '${PROGRAM}' "$@"`, ''];
		return body(bench, bench.file('limited', lines.join('\n'), 0o700));
	});
}

limited('in 150 MB of address space all workers start, and 126 conversations wait at once',
	['-v 150000'], async (bench, program) => {
		const model = await modelServer(bench);
		const held = gate();
		model.otherwise = words('at last', held.opened);
		const server = await bench.listen({ env: model.env, program });
		const threads = [];
		while (threads.length < 126) threads.push(await newThread(server));
		const answers = Promise.all(threads.map((thread) => say(server, thread, 'words')));
		const asked = eventually('the model is asked', () => model.requests.length === 126);
		await Promise.race([asked, answers]);
		assert.equal((await server.request('GET', '/health')).status, 200);
		const tasks = fs.readdirSync(`/proc/${server.child.pid}/task`);
		assert.equal(tasks.length, 2 + 128, 'the main thread, the sweep\'s and the default workers');
		held.open();
		for (const answer of await answers) {
			assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'at last']);
		}
	});

// A thread with a stack of the default size could not be started here.
limited('resolving a name takes no thread with a large stack', ['-v 1000000', '-s 1000000'],
	async (bench, program) => {
		bench.expectLog(/The model server could not be asked/);
		const env = { OPENAI_BASE_URL: 'http://model.invalid/v1', ASSISTANTS_RUN_TIMEOUT: '3' };
		const server = await bench.listen({ env, program });
		const told = await say(server, await newThread(server), 'words');
		assertSentence(told, told.status === 504 ? 504 : 502);
		assert.doesNotMatch(bench.log(), /thread failed to start/);
	});
