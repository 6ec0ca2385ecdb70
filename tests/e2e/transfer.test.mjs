// --export and --import.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { e2e, eventually, newThread, PROGRAM, say, start, transcript, within } from './lib.mjs';
import { makeKey, Program } from './lib-api.mjs';
import { database, sql } from './lib-state.mjs';
import { modelServer, status } from './lib-upstream.mjs';

const KINDS = ['assistants', 'threads', 'runs', 'messages', 'run steps'];

/** The counts that a command prints of its import: [new, existing] of each kind. */
function counts(stdout) {
	return KINDS.map((kind) => {
		const line = new RegExp(`^${kind}: (\\d+) new, (\\d+) already there$`, 'm').exec(stdout);
		assert.ok(line, stdout);
		return [Number(line[1]), Number(line[2])];
	});
}

async function exported(bench, state = bench.state) {
	const env = { ASSISTANTS_STATE_DIR: state };
	const { code, stdout, stderr } = await bench.command(['--export'], env);
	assert.equal(code, 0, stderr);
	assert.match(stderr, new RegExp(`^State folder: ${state}$`, 'm'));
	return stdout;
}

/** Import `content` from a file; returns the counts. */
async function imported(bench, content, args = [], state = bench.state) {
	const file = bench.file('import', content);
	const env = { ASSISTANTS_STATE_DIR: state };
	const { code, stdout, stderr } = await bench.command(['--import', file, ...args], env);
	assert.equal(code, 0, stderr);
	return counts(stdout);
}

const lines = (...objects) => objects.map((one) => `${JSON.stringify(one)}\n`).join('');
const words = (text) => [{ type: 'text', text: { value: text, annotations: [] } }];
const thread = (id, created_at = 100) =>
	({ id, object: 'thread', created_at, metadata: {}, tool_resources: {} });
const message = (id, thread_id, created_at, more = {}) => ({
	id, object: 'thread.message', created_at, thread_id, role: 'user', content: words(id),
	file_ids: [], assistant_id: null, run_id: null, metadata: {}, ...more,
});

/** Objects of two tenants and the gateway, of every kind and in every lasting state. */
async function fill(bench, server, model) {
	const one = new Program(server, await makeKey(bench, 'one'));
	const two = new Program(server, await makeKey(bench, 'two'), 'assistants=v1');
	const assistant = await one.call('POST', '/assistants', {
		model: 'm', temperature: 1, top_p: 0.5, tools: [{ type: 'function', function: { name: 'f' } }],
		tool_resources: { file_search: { vector_stores: [{ file_ids: ['file-1'] }] } },
	});
	await two.call('POST', '/assistants', { model: 'm', file_ids: ['file-1'] });
	await two.call('POST', '/threads', { messages: [
		{ role: 'user', content: '\u00e4 \u{1f600} "quoted"\n', file_ids: ['file-2'] },
		{ role: 'assistant', content: 'b', metadata: { a: '1' } },
	] });
	const image = { type: 'image_url', image_url: { url: 'https://host/i.png' } };
	const run = await one.ended(await one.call('POST', '/threads/runs', {
		assistant_id: assistant.id, metadata: { a: 'b' }, max_completion_tokens: 300,
		thread: { messages: [{ role: 'user', content: [image] }], metadata: { c: 'd' } },
	}));
	assert.equal(run.status, 'completed');
	model.queue.push(status(401));
	const body = { assistant_id: assistant.id, instructions: 'none' };
	await one.ended(await one.call('POST', `/threads/${run.thread_id}/runs`, body));
	bench.expectLog(/^run: /);
	const talk = await newThread(server);
	assert.equal((await say(server, talk, 'first')).text.trimEnd(), 'hello');
	assert.equal((await say(server, talk, 'second')).text.trimEnd(), 'hello');
	return { talk, run };
}

/** States that need time, clocks, or model servers that call functions. */
function addCalls(bench, run) {
	const calls = [{ id: 'call_1', type: 'function',
		function: { name: 'f', arguments: '{}', output: 'o' } }];
	const details = JSON.stringify({ type: 'tool_calls', tool_calls: calls });
	sql(database(bench), `
		UPDATE messages SET items = '[{"type":"reasoning"}]'
			WHERE run = (SELECT seq FROM runs WHERE id = '${run.id}');
		INSERT INTO run_steps (id, run, created_at, ended_at, status, details, items, thread,
				after_message)
			SELECT 'step_calls', r.seq, 5, 6, 'completed', '${details}', '[1]', r.thread,
				(SELECT min(seq) FROM messages WHERE thread = r.thread)
			FROM runs r WHERE r.id = '${run.id}';
		UPDATE runs SET status = 'expired', ended_at = expires_at + 7 WHERE status = 'failed';
		UPDATE threads SET created_at = created_at - 50 WHERE seq = 2;`);
}

e2e('an export restores everything in an empty folder', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	const { talk, run } = await fill(bench, server, model);
	addCalls(bench, run);
	const before = await exported(bench);
	const objects = before.trimEnd().split('\n').map((line) => JSON.parse(line));
	const total = (kind) => objects.filter(({ object }) => object === kind).length;
	assert.deepEqual(['assistant', 'thread', 'thread.run', 'thread.message', 'thread.run.step']
		.map(total), [3, 3, 4, 8, 4]);
	assert.deepEqual([...new Set(objects.map(({ tenant }) => tenant))].sort(),
		['gateway', 'one', 'two']);
	const known = objects.find(({ id }) => id === run.id);
	const { tenant, stored, ...shown } = known;
	assert.deepEqual([tenant, shown], ['one', run]);
	assert.ok(stored);

	const other = path.join(bench.dir, 'other');
	const fresh = [[3, 0], [3, 0], [4, 0], [8, 0], [4, 0]];
	assert.deepEqual(await imported(bench, before, [], other), fresh);
	assert.equal(await exported(bench, other), before);
	const again = fresh.map(([added]) => [0, added]);
	assert.deepEqual(await imported(bench, before, [], other), again);
	assert.deepEqual(await imported(bench, before), again);
	assert.equal(await exported(bench, other), before);
	assert.equal(await exported(bench), before);

	// The conversation continues there.
	await server.stop();
	const next = await bench.listen({ env: { ...model.env, ASSISTANTS_STATE_DIR: other } });
	const said = await transcript(next, talk);
	assert.deepEqual(said, [
		['user', 'first'], ['assistant', 'hello'], ['user', 'second'], ['assistant', 'hello'],
	]);
	await say(next, talk, 'third');
	assert.equal(model.requests.at(-1).json.input.length, 5);
});

// As OpenAI returned them, each list newest first.
const SAVED = [
	{ object: 'list', first_id: 'asst_a', last_id: 'asst_a', has_more: false, data: [{
		id: 'asst_a', object: 'assistant', created_at: 50, name: 'Old', description: null,
		model: 'gpt-4-1106-preview', instructions: 'i', tools: [{ type: 'retrieval' }],
		file_ids: ['file-1'], metadata: {},
	}, {
		id: 'asst_b', object: 'assistant', created_at: 50, name: 'New', description: null,
		model: 'gpt-4o', instructions: 'i', metadata: {}, temperature: 1.0, top_p: 1.0,
		response_format: 'auto', tool_resources: { code_interpreter: null, file_search: null },
		tools: [{ type: 'file_search', file_search: { max_num_results: null,
			ranking_options: { score_threshold: 0.0, ranker: 'default_2024_08_21' } } }],
	}] },
	{ object: 'list', data: [
		message('msg_4', 'thread_t', 111, { role: 'assistant', run_id: 'run_1',
			assistant_id: 'asst_a' }),
		message('msg_3', 'thread_t', 110),
		message('msg_2', 'thread_t', 110, { role: 'assistant', run_id: 'run_gone',
			assistant_id: 'asst_gone', completed_at: null }),
		message('msg_1', 'thread_t', 110, { file_ids: ['file-7'], run_id: 'run_gone',
			assistant_id: 'asst_gone' }),
	] },
	{
		id: 'run_1', object: 'thread.run', created_at: 110, assistant_id: 'asst_a',
		thread_id: 'thread_t', status: 'completed', started_at: 110, expires_at: null,
		cancelled_at: null, failed_at: null, completed_at: 112, last_error: null,
		model: 'gpt-4-1106-preview', instructions: 'i', tools: [{ type: 'retrieval' }],
		file_ids: ['file-1'], metadata: {}, usage: { prompt_tokens: 1, completion_tokens: 2,
			total_tokens: 3 },
	},
	{
		id: 'run_2', object: 'thread.run', created_at: 120, assistant_id: 'asst_a',
		thread_id: 'thread_t', status: 'requires_action', expires_at: 720, started_at: 121,
		required_action: { type: 'submit_tool_outputs' }, model: 'm', instructions: '', tools: [],
		metadata: {},
	},
	{ object: 'list', data: [
		{ id: 'step_2', object: 'thread.run.step', created_at: 111, run_id: 'run_1',
			assistant_id: 'asst_a', thread_id: 'thread_t', type: 'message_creation',
			status: 'completed', completed_at: 112, step_details: { type: 'message_creation',
				message_creation: { message_id: 'msg_4' } } },
		{ id: 'step_1', object: 'thread.run.step', created_at: 110, run_id: 'run_1',
			assistant_id: 'asst_a', thread_id: 'thread_t', type: 'tool_calls',
			status: 'completed', completed_at: 111, step_details: { type: 'tool_calls',
				tool_calls: [{ id: 'call_1', type: 'retrieval', retrieval: {} }] } },
	] },
	thread('thread_t'),
];

e2e('objects saved from OpenAI are imported with their ids', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	const pretty = SAVED.map((one) => JSON.stringify(one, null, 2)).join('\n');
	const fresh = [[2, 0], [1, 0], [2, 0], [4, 0], [2, 0]];
	assert.deepEqual(await imported(bench, pretty, ['--tenant', 'mine']), fresh);
	assert.deepEqual(await imported(bench, JSON.stringify(SAVED), ['--tenant', 'mine']),
		fresh.map(([added]) => [0, added]));
	const mine = new Program(server, await makeKey(bench, 'mine'));
	const old = new Program(server, mine.key, 'assistants=v1');

	const { data: assistants } = await mine.call('GET', '/assistants');
	assert.deepEqual(assistants.map(({ id }) => id), ['asst_a', 'asst_b']);
	assert.deepEqual(assistants[1].tools, SAVED[0].data[1].tools);
	assert.deepEqual(await old.call('GET', '/assistants/asst_a'),
		{ ...SAVED[0].data[0], temperature: 1, top_p: 1, response_format: 'auto' });
	const { data: messages } = await old.call('GET', '/threads/thread_t/messages');
	const asSaved = messages.map(({ status: _, completed_at, incomplete_at, incomplete_details,
		...rest }) => rest);
	assert.deepEqual(asSaved, SAVED[1].data.map(({ completed_at, ...rest }) => rest));
	assert.ok(messages.every((one) => one.status === 'completed'));
	const run = await old.call('GET', '/threads/thread_t/runs/run_1');
	// Members that version 1 got later are there as well.
	const kept = Object.keys(SAVED[2]).filter((name) => name !== 'required_action');
	for (const name of kept) assert.deepEqual(run[name], SAVED[2][name], name);
	const over = await mine.call('GET', '/threads/thread_t/runs/run_2');
	assert.deepEqual([over.status, over.required_action], ['expired', null]);
	const { data: steps } = await old.call('GET', '/threads/thread_t/runs/run_1/steps');
	assert.deepEqual(steps.map((step) => step.step_details),
		SAVED[4].data.map((step) => step.step_details));

	// It continues: nothing locks the thread, and the model is sent the messages in order.
	const next = await mine.call('POST', '/threads/thread_t/runs', { assistant_id: 'asst_b' });
	assert.equal((await mine.ended(next)).status, 'completed');
	bench.expectLog(/file_search, which are only stored so far/);
	const { json } = model.requests.at(-1);
	assert.deepEqual(json.input.map((item) => item.content), ['msg_1', 'msg_2', 'msg_3', 'msg_4']);
	assert.deepEqual([json.temperature, json.top_p, json.text], [undefined, undefined, undefined]);
	assert.deepEqual((await old.call('GET', '/threads')).data.map(({ id }) => id), ['thread_t']);
});

e2e('without a tenant, imported objects are the gateway\'s; ids may have any form', async (bench) => {
	const server = await bench.listen();
	const odd = 'no id of ours: \u00e4?';
	const more = lines(thread('alpha'), message('m2', 'alpha', 2), message('m1', 'alpha', 1),
		message('m3', 'alpha', 2), thread(odd), message('m4', odd, 1));
	assert.deepEqual((await imported(bench, more)).slice(1, 4), [[2, 0], [0, 0], [4, 0]]);
	const said = [['user', 'm1'], ['user', 'm2'], ['user', 'm3']];
	assert.deepEqual(await transcript(server, 'alpha'), said);
	assert.equal((await say(server, 'alpha', 'hello')).status, 200);
	const program = new Program(server, await makeKey(bench, 'gateway'));
	const { data } = await program.call('GET', `/threads/${encodeURIComponent(odd)}/messages`);
	assert.deepEqual(data.map(({ id, thread_id }) => [id, thread_id]), [['m4', odd]]);
	// Existing objects are left unchanged.
	const other = { ...thread('alpha'), metadata: { other: '1' } };
	assert.deepEqual((await imported(bench, lines(other)))[1], [0, 1]);
	assert.deepEqual((await program.call('GET', '/threads/alpha')).metadata, {});
});

e2e('an object that cannot be imported is named, and nothing is imported', async (bench) => {
	const good = lines(thread('t'));
	await imported(bench, lines({ ...thread('theirs'), tenant: 'other' }));
	const before = await exported(bench);
	const step = { id: 's', object: 'thread.run.step', created_at: 1, thread_id: 't',
		status: 'completed', step_details: { type: 'tool_calls', tool_calls: [] } };
	const run = { id: 'r', object: 'thread.run', created_at: 1, thread_id: 't',
		assistant_id: 'a', status: 'completed' };
	const rows = [
		[`${good}{"object": "thread",`, /line 2: the object that begins here does not end/],
		[`${good}\n\n{"object": }\n`, /line 4: this is not JSON/],
		[`${good}thread\n`, /line 2: an object in braces was expected/],
		[good + lines({ id: 'f', object: 'file' }), /line 2: not an object that can be imported/],
		[good + lines({ id: 'f' }), /line 2: not an object that can be imported/],
		[good + lines({ object: 'list', data: [thread('u'), 3] }), /line 2: not an object/],
		[good + lines({ object: 'list', data: [thread('u'), null] }), /line 2: not an object/],
		[`${good}{\n"object": "thread.message",\n"id": "m", "created_at": 1, "role": "user", "content": [],`
			+ '"thread_id": "gone"}', /line 2: thread\.message m: its thread, gone, is neither/],
		[good + lines(message('m', 'theirs', 1)), /line 2: .* its thread, theirs, is neither/],
		[good + lines(message('m', 't', 1, { role: 'system' })), /'system'.*'user', 'assistant'/],
		[good + lines(message('m', 't', 1, { content: 'w' })), /'content': expected an array/],
		[good + lines(message('m', 't', 1, { content: [{ type: 'text', text: 'w' }] })),
			/'content\[0\]\.text': expected an object/],
		[good + lines(message('m', 't', 1, { content: [{ type: 'x' }] })), /content\[0\]\.type|'x'/],
		[good + lines(message('m', 't', 1, { file_ids: 'x' })), /'attachments': expected an array/],
		[good + lines(message('m', 't', 'now')), /'created_at': expected an integer/],
		[lines({ object: 'thread', id: 'u' }), /line 1: thread u: .*'created_at'/],
		[lines({ object: 'thread', created_at: 1 }), /thread without an id: .*'id'/],
		[lines({ ...thread(7) }), /'id': expected a string/],
		[lines({ ...thread('u'), metadata: { a: 1 } }), /Invalid type for 'metadata\.a'/],
		[lines({ ...thread('u'), tenant: '' }), /Invalid 'tenant'/],
		[lines({ ...thread('u'), stored: [] }), /'stored': expected an object/],
		[lines({ object: 'assistant', id: 'a', created_at: 1 }), /Missing .*'model'/],
		[lines({ object: 'assistant', id: 'a', created_at: 1, model: 'm', tools: [{}] }),
			/'tools\[0\]\.type'/],
		[good + lines({ ...run, status: 'lost' }), /'lost'/],
		[good + lines({ ...run, thread_id: 'gone' }), /its thread, gone, is neither/],
		[good + lines({ ...step, run_id: 'gone' }), /its run, gone, is neither/],
		[good + lines(run, { ...step, run_id: 'r', step_details: 'x' }), /'step_details'/],
	];
	for (const [content, sentence] of rows) {
		const file = bench.file('import', content);
		const { code, stdout, stderr } = await bench.command(['--import', file]);
		assert.deepEqual([code, stdout], [1, ''], content);
		assert.match(stderr, /^Nothing was imported: line \d+: /m);
		assert.match(stderr, sentence);
	}
	assert.equal(await exported(bench), before);
	assert.deepEqual(fs.readdirSync(bench.state).filter((name) => /^import/.test(name)), []);
	for (const [args, sentence] of [
		[['--import', '/nowhere'], /^\/nowhere: No such file/m],
		[['--tenant', 'x'], /goes with --import/],
		[['--import', '-', '--tenant', 'a b'], /the name of a key/],
	]) {
		const { code, stderr } = await bench.command(args);
		assert.notEqual(code, 0);
		assert.match(stderr, sentence);
	}
});

e2e('an import that is killed has changed nothing, and works while the program does',
	async (bench) => {
		const server = await bench.listen();
		const talk = await newThread(server);
		const before = await exported(bench);
		const long = 'word '.repeat(200);
		const many = Array.from({ length: 6_000 }, (_, i) =>
			message(`m${i}`, 't', i, { content: words(long) }));
		const file = bench.file('many', lines(thread('t'), ...many));
		const child = start(PROGRAM, ['--import', file], { env: bench.env, stdio: 'ignore' });
		const log = database(bench, '-wal');
		// The transaction is larger than SQLite's cache.
		await eventually('the import writes', () => fs.statSync(log).size > 4 << 20);
		child.end('SIGKILL');
		assert.deepEqual(await within(child.ended, 'the end'), { code: null, signal: 'SIGKILL' });
		assert.equal(await exported(bench), before);
		assert.equal((await say(server, talk, 'hello')).status, 200);

		const second = start(PROGRAM, ['--import', '-'], {
			env: bench.env, stdio: ['pipe', 'ignore', 'ignore'],
		});
		fs.createReadStream(file).pipe(second.stdin);
		// A request that writes meanwhile waits, and is answered.
		let done = false;
		const ended = second.ended.then((end) => { done = true; return end; });
		while (!done) await newThread(server);
		assert.deepEqual(await ended, { code: 0, signal: null });
		const text = (await transcript(server, 't')).length;
		assert.equal(text, 6_000);
	});
