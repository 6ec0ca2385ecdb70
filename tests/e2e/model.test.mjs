// The model server's side of a message, with aimock and its fixtures as the model server.

import assert from 'node:assert/strict';
import { LLMock } from '@copilotkit/aimock';
import { KEY, e2e, eventually, newThread, say, transcript } from './lib.mjs';
import { cutAfter, gate, incomplete, messageEvents, modelServer, withoutResponses, words } from './lib-upstream.mjs';

const FIRST = ['I need to solve 3x + 11 = 14', 'Subtract 11 first: 3x = 3. What is x?'];
const SECOND = ['x is 1', 'Right. Grüße & "quotes" – 数学 🎓'];

// By which API the model is asked, and whether its server has the Responses API.
const APIS = {
	'the Responses API': { api: 'responses', path: '/v1/responses' },
	'Chat Completions': { api: 'chat', path: '/v1/chat/completions' },
	'auto, with both': { api: 'auto', path: '/v1/responses' },
	'auto, without the Responses API': { api: 'auto', path: '/v1/chat/completions', lacks: true },
};

async function aimock(bench, { api, lacks }) {
	// It cuts between UTF-16 units: 5 would cut 🎓 in two, which UTF-8 cannot express.
	const mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 4 });
	for (const [asked, content] of [FIRST, SECOND]) mock.onMessage(asked, { content });
	await mock.start();
	bench.onClose(() => mock.stop());
	const url = lacks ? await withoutResponses(bench, mock.url) : `${mock.url}/v1`;
	return { mock, env: {
		OPENAI_BASE_URL: url, OPENAI_API_KEY: KEY, ASSISTANTS_MODEL_API: api,
	} };
}

// The history in a request to the Responses API, as [[role, text], …].
function replayed({ input }) {
	const textOf = (content) => content.map(({ text }) => text).join('');
	return input.map(({ role, content }) => {
		return [role, typeof content === 'string' ? content : textOf(content)];
	});
}

for (const [name, how] of Object.entries(APIS)) {
	e2e(`${name}: the answer is the fixture's, by one request a message`, async (bench) => {
		const { mock, env } = await aimock(bench, how);
		const server = await bench.listen({ env });
		const thread = await newThread(server);
		assert.equal(mock.getRequests().length, 0, 'a thread alone asks nobody');
		for (const [asked, answered] of [FIRST, SECOND]) {
			const answer = await say(server, thread, asked);
			assert.deepEqual([answer.status, answer.text.trimEnd()], [200, answered]);
		}
		assert.deepEqual(mock.getRequests().map(({ method, path }) => `${method} ${path}`),
			[`POST ${how.path}`, `POST ${how.path}`]);
		assert.deepEqual(await transcript(server, thread), [
			['user', FIRST[0]], ['assistant', FIRST[1]],
			['user', SECOND[0]], ['assistant', SECOND[1]],
		]);
	});

	e2e(`${name}: the same by CGI, a process a request`, async (bench) => {
		const { mock, env } = await aimock(bench, how);
		const site = { request: (method, path, more) => bench.cgi({ env, method, path, ...more }) };
		const thread = await newThread(site);
		for (const [asked, answered] of [FIRST, SECOND]) {
			const answer = await say(site, thread, asked);
			assert.deepEqual([answer.status, answer.text.trimEnd()], [200, answered]);
		}
		assert.equal(mock.getRequests().length, 2);
	});
}

e2e('requests are stateless, streamed, not stored, and replay the thread in order',
	async (bench) => {
		const model = await modelServer(bench);
		model.queue.push(words(FIRST[1]), words(SECOND[1]));
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		await say(server, thread, FIRST[0]);
		await say(server, thread, SECOND[0]);
		const [first, second] = model.requests;
		for (const { method, path, headers, json } of [first, second]) {
			assert.equal(`${method} ${path}`, 'POST /v1/responses');
			assert.equal(headers.authorization, `Bearer ${KEY}`);
			assert.match(headers['content-type'], /^application\/json/);
			assert.deepEqual([json.stream, json.store], [true, false]);
			assert.equal(json.model, 'gpt-5.4-mini');
			assert.match(json.instructions, /\w/);
			assert.equal(json.previous_response_id, undefined);
			assert.equal(json.temperature, undefined, 'reasoning models refuse it');
		}
		assert.deepEqual(replayed(first.json), [['user', FIRST[0]]]);
		assert.deepEqual(replayed(second.json), [
			['user', FIRST[0]], ['assistant', FIRST[1]], ['user', SECOND[0]],
		]);
	});

e2e('messages that follow each other share a connection', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	for (const thread of [await newThread(server), await newThread(server)]) {
		assert.equal((await say(server, thread, 'words')).text.trimEnd(), 'hello');
	}
	assert.deepEqual([model.requests.length, model.connections], [2, 1]);
});

e2e('the run\'s usage is the model server\'s count', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	const headers = { accept: 'application/json' };
	const { json } = await say(server, await newThread(server), 'words', headers);
	const { prompt_tokens, completion_tokens, total_tokens } = json.usage;
	assert.deepEqual([prompt_tokens, completion_tokens, total_tokens], [11, 7, 18]);
});

e2e('threads do not see each other, and are answered side by side', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('the slow one', held.opened), words('the quick one'));
	const server = await bench.listen({ env: model.env });
	const [slow, quick] = [await newThread(server), await newThread(server)];
	const waiting = say(server, slow, 'slow words');
	await eventually('the model is asked', () => model.requests.length === 1);
	assert.equal((await say(server, quick, 'quick words')).text.trimEnd(), 'the quick one');
	held.open();
	assert.equal((await waiting).text.trimEnd(), 'the slow one');
	assert.deepEqual(replayed(model.requests[1].json), [['user', 'quick words']]);
});

e2e('ASSISTANTS_DEFINITION is the assistant', async (bench) => {
	const model = await modelServer(bench);
	const definition = { name: 'Tutor', model: 'a-local-model', instructions: 'Be terse.' };
	const file = bench.file('definition.json', JSON.stringify(definition));
	const server = await bench.listen({ env: { ...model.env, ASSISTANTS_DEFINITION: file } });
	assert.equal((await say(server, await newThread(server), 'words')).status, 200);
	const [{ json }] = model.requests;
	assert.equal(json.model, definition.model);
	assert.equal(json.instructions, definition.instructions);
});

e2e('a key may come from a file, and a model\'s name from the environment', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: {
		OPENAI_BASE_URL: model.url, OPENAI_API_KEY_FILE: bench.file('key', `${KEY}\n`),
		ASSISTANTS_MODEL: 'another-model',
	} });
	assert.equal((await say(server, await newThread(server), 'words')).status, 200);
	const [{ headers, json }] = model.requests;
	assert.equal(headers.authorization, `Bearer ${KEY}`);
	assert.equal(json.model, 'another-model');
});

e2e('the conversation says which message broke off, and which run is at work', async (bench) => {
	bench.expectLog(/the connection ended/);
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	const accept = { headers: { accept: 'application/json' } };
	const { json: made } = await server.request('POST', '/threads', accept);
	assert.deepEqual(Object.keys(made), ['id', 'threadId']);
	assert.equal(made.threadId, made.id);
	const held = gate();
	const part = { type: 'output_text', text: 'half of it', annotations: [] };
	model.queue.push(words('well'), incomplete('a limit'), cutAfter(5, messageEvents(part)),
		words('at last', held.opened));
	for (const asked of ['one', 'two', 'three']) await say(server, made.id, asked);
	const last = say(server, made.id, 'four');
	await eventually('the model is asked', () => model.requests.length === 4);
	const seen = async () => (await server.request('GET', `/threads/${made.id}/messages`, accept)).json;
	const { messages, run } = await seen();
	assert.deepEqual(messages.map(({ role, run_id, incomplete: why }) => [role, Boolean(run_id), why]), [
		['user', false, undefined], ['assistant', true, undefined],
		['user', false, undefined], ['assistant', true, 'max_tokens'],
		['user', false, undefined], ['assistant', true, 'run_failed'], ['user', false, undefined],
	]);
	assert.equal(run.status, 'in_progress');
	assert.match(run.id, /^run_/);
	held.open();
	await last;
	assert.equal((await seen()).run, undefined);
});

e2e('a model server that needs no key gets none', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: { OPENAI_BASE_URL: model.url } });
	assert.equal((await say(server, await newThread(server), 'words')).text.trimEnd(), 'hello');
	assert.equal(model.requests[0].headers.authorization, undefined);
});

e2e('settings may stand in the configuration file, and the environment wins', async (bench) => {
	const model = await modelServer(bench);
	bench.file('config', [
		'# the model', `OPENAI_BASE_URL=${model.url}`, '', ' ASSISTANTS_MODEL=filed\r', '',
	].join('\n'));
	const server = await bench.listen();
	assert.equal((await say(server, await newThread(server), 'words')).text.trimEnd(), 'hello');
	const env = { ASSISTANTS_MODEL: 'surrounding' };
	const site = { request: (method, path, more) => bench.cgi({ env, method, path, ...more }) };
	await say(site, await newThread(site), 'words');
	assert.equal(model.requests[0].json.model, 'filed');
});

e2e('eight CGI processes at once on an empty state folder all answer', async (bench) => {
	const site = { request: (method, path, more) => bench.cgi({ method, path, ...more }) };
	const once = async () => say(site, await newThread(site), 'hello');
	const answers = await Promise.all(Array.from({ length: 8 }, once));
	assert.deepEqual(answers.map(({ status }) => status), Array(8).fill(200));
});
