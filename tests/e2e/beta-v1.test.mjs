// Programs of 2023, which use version 1 of the Assistants API: what they send is understood, and what they
// look for is there.

import assert from 'node:assert/strict';
import { e2e } from './lib.mjs';
import { USUAL_SEARCH } from './lib-sdk.mjs';
import { makeKey, Program } from './lib-api.mjs';
import { modelServer, words } from './lib-upstream.mjs';

// The members of each object in openai 4.30, the last SDK of version 1.
const ASSISTANT = ['created_at', 'description', 'file_ids', 'id', 'instructions', 'metadata',
	'model', 'name', 'object', 'response_format', 'temperature', 'tools', 'top_p'];
const THREAD = ['created_at', 'id', 'metadata', 'object'];
const MESSAGE = ['assistant_id', 'completed_at', 'content', 'created_at', 'file_ids', 'id',
	'incomplete_at', 'incomplete_details', 'metadata', 'object', 'role', 'run_id', 'status',
	'thread_id'];
const RUN = ['assistant_id', 'cancelled_at', 'completed_at', 'created_at', 'expires_at',
	'failed_at', 'file_ids', 'id', 'incomplete_details', 'instructions', 'last_error',
	'max_completion_tokens', 'max_prompt_tokens', 'metadata', 'model', 'object', 'required_action',
	'response_format', 'started_at', 'status', 'temperature', 'thread_id', 'tool_choice', 'tools',
	'top_p', 'truncation_strategy', 'usage'];

const HOSTED = /^the run has the tools code_interpreter and file_search, which are only stored so far/;

function assertKeys(object, keys) {
	assert.deepEqual(Object.keys(object).sort(), keys);
}

/** A server, and two programs of one tenant, each with another version. */
async function programs(bench, env) {
	const key = await makeKey(bench, 'both');
	const server = await bench.listen({ env });
	return [new Program(server, key, 'assistants=v1'), new Program(server, key)];
}

const FUNCTION = {
	type: 'function',
	function: { name: 'get_stock_price', parameters: { type: 'object', properties: {} } },
};

e2e('an assistant of the first version is one of the second, and the other way round',
	async (bench) => {
		const [old, current] = await programs(bench);
		const tools = [{ type: 'code_interpreter' }, { type: 'retrieval' }, FUNCTION];
		const made = await old.call('POST', '/assistants',
			{ model: 'gpt-4-1106-preview', name: 'n', tools, file_ids: ['file-1', 'file-2'] });
		assertKeys(made, ASSISTANT);
		assert.deepEqual(made.tools, tools);
		assert.deepEqual(made.file_ids, ['file-1', 'file-2']);
		const path = `/assistants/${made.id}`;
		const seen = await current.call('GET', path);
		assert.deepEqual(seen.tools, [tools[0], USUAL_SEARCH,
			{ ...FUNCTION, function: { ...FUNCTION.function, strict: false } }]);
		assert.deepEqual(seen.tool_resources, {
			code_interpreter: { file_ids: made.file_ids }, file_search: { vector_store_ids: [] },
		});
		assert.equal('file_ids' in seen, false);

		const changed = await old.call('POST', path, { file_ids: ['file-3'] });
		assert.deepEqual([changed.file_ids, changed.tools], [['file-3'], tools]);
		const search = { type: 'file_search', file_search: { max_num_results: 3 } };
		await current.call('POST', path, { tools: [search], tool_resources: {} });
		assert.deepEqual(await old.call('GET', path),
			{ ...made, tools: [{ type: 'retrieval' }], file_ids: [] });
		const { data } = await old.call('GET', '/assistants');
		data.forEach((one) => assertKeys(one, ASSISTANT));
		assert.deepEqual(await old.call('DELETE', path),
			{ id: made.id, object: 'assistant.deleted', deleted: true });
	});

e2e('an assistant\'s files have paths of their own', async (bench) => {
	const [old] = await programs(bench);
	const { id, created_at } = await old.call('POST', '/assistants',
		{ model: 'm', file_ids: ['file-1', 'file-2'] });
	const path = `/assistants/${id}/files`;
	const file = (name) =>
		({ id: name, object: 'assistant.file', created_at, assistant_id: id });
	assert.deepEqual(await old.call('POST', path, { file_id: 'file-3' }), file('file-3'));
	assert.deepEqual(await old.call('GET', `${path}/file-3`), file('file-3'));
	assert.deepEqual(await old.call('GET', `${path}?limit=2`), {
		object: 'list', first_id: 'file-3', last_id: 'file-2', has_more: true,
		data: [file('file-3'), file('file-2')],
	});
	const ids = async (query) => (await old.call('GET', path + query)).data.map((one) => one.id);
	for (const [query, expected] of [
		['?after=file-2', ['file-1']], ['?before=file-1&limit=1', ['file-2']],
		['?order=asc', ['file-1', 'file-2', 'file-3']], ['?order=asc&after=file-1&limit=1', ['file-2']],
		['?order=asc&before=file-3&limit=1', ['file-2']],
		['?order=asc&after=file-1&before=file-3', ['file-2']],
	]) {
		assert.deepEqual(await ids(query), expected, query);
	}
	assert.deepEqual(await old.call('DELETE', `${path}/file-1`),
		{ id: 'file-1', object: 'assistant.file.deleted', deleted: true });
	assert.deepEqual((await old.call('GET', `/assistants/${id}`)).file_ids, ['file-2', 'file-3']);

	const gone = 'No file found with id \'file-1\'.';
	assert.equal((await old.refused(404, 'GET', `${path}/file-1`)).message, gone);
	assert.equal((await old.refused(404, 'DELETE', `${path}/file-1`)).message, gone);
	assert.equal((await old.refused(404, 'GET', `${path}?after=file-1`)).message, gone);
	assert.equal((await old.refused(400, 'POST', path, {})).param, 'file_id');
	await old.refused(404, 'POST', '/assistants/asst_none/files', { file_id: 'file-1' });
	await old.refused(404, 'GET', '/assistants/asst_none/files');
	const stranger = new Program(old.server, await makeKey(bench, 'stranger'), old.version);
	await stranger.refused(404, 'GET', path);
	await stranger.refused(404, 'POST', path, { file_id: 'file-9' });
	for (let i = 4; i <= 21; i++) await old.call('POST', path, { file_id: `file-${i}` });
	await old.call('POST', path, { file_id: 'file-21' });
	assert.match((await old.refused(400, 'POST', path, { file_id: 'file-22' })).message,
		/at most 20 files/);
});

e2e('messages have file_ids, wherever they are made', async (bench) => {
	const [old, current] = await programs(bench);
	const said = { role: 'user', content: 'words', file_ids: ['file-1', 'file-2'] };
	const thread = await old.call('POST', '/threads', { messages: [said] });
	assertKeys(thread, THREAD);
	const path = `/threads/${thread.id}/messages`;
	const bare = await old.call('POST', path, { role: 'user', content: 'words' });
	assertKeys(bare, MESSAGE);
	assert.deepEqual(bare.file_ids, []);
	await old.call('POST', path, said);
	const { data } = await old.call('GET', path);
	data.forEach((one) => assertKeys(one, MESSAGE));
	assert.deepEqual(data.map((one) => one.file_ids), [said.file_ids, [], said.file_ids]);
	const tools = [{ type: 'code_interpreter' }, { type: 'file_search' }];
	assert.deepEqual((await current.call('GET', `${path}/${data[0].id}`)).attachments,
		[{ file_id: 'file-1', tools }, { file_id: 'file-2', tools }]);
	const file = {
		id: 'file-1', object: 'thread.message.file', created_at: data[0].created_at,
		message_id: data[0].id,
	};
	const { data: files } = await old.call('GET', `${path}/${data[0].id}/files?order=asc`);
	assert.deepEqual(files[0], file);
	assert.equal(files.length, 2);
	assert.deepEqual(await old.call('GET', `${path}/${data[0].id}/files/file-1`), file);
	await old.refused(404, 'GET', `${path}/${data[0].id}/files/file-9`);
	await old.refused(404, 'GET', `${path}/msg_none/files`);
});

e2e('errors use the names that the program used', async (bench) => {
	const [old] = await programs(bench);
	const thread = await old.call('POST', '/threads');
	const rows = [
		['/assistants', { model: 'm', file_ids: Array(21).fill('file-1') }, 'file_ids', /from 0 to 20/],
		['/assistants', { model: 'm', file_ids: 'file-1' }, 'file_ids', /expected an array/],
		['/assistants', { model: 'm', file_ids: [1] }, 'file_ids[0]', /expected a string/],
		['/assistants', { model: 'm', tools: [{ type: 'x' }] }, 'tools[0].type', /'retrieval'/],
		['/threads', { file_ids: [] }, 'file_ids', /Unknown parameter/],
		['/threads', { messages: [{ role: 'user', content: 'w', file_ids: [1] }] },
			'messages[0].file_ids[0]', /expected a string/],
		[`/threads/${thread.id}/messages`, { role: 'user', content: 'w', file_ids: 7 }, 'file_ids',
			/expected an array/],
	];
	for (const [path, body, param, message] of rows) {
		const error = await old.refused(400, 'POST', path, body);
		assert.equal(error.param, param, JSON.stringify(error));
		assert.match(error.message, message);
		assert.doesNotMatch(error.message, /attachments|tool_resources|file_search/);
	}
	await old.refused(400, 'POST', '/assistants', ['no object']);
});

e2e('a run of the first version, polled and streamed', async (bench) => {
	const model = await modelServer(bench);
	const [old, current] = await programs(bench, model.env);
	const tools = [{ type: 'code_interpreter' }, { type: 'retrieval' }];
	const assistant = await old.call('POST', '/assistants',
		{ model: 'm', instructions: 'i', tools, file_ids: ['file-1'] });
	const said = { role: 'user', content: 'words', file_ids: ['file-2'] };
	const created = await old.call('POST', '/threads/runs',
		{ assistant_id: assistant.id, thread: { messages: [said] } });
	assertKeys(created, RUN);
	assert.deepEqual([created.tools, created.file_ids], [tools, ['file-1']]);
	const run = await old.ended(created);
	assert.equal(run.status, 'completed');
	const path = `/threads/${run.thread_id}`;
	const { data: [answer, asked] } = await old.call('GET', `${path}/messages`);
	assert.equal(answer.content[0].text.value, 'hello');
	assert.deepEqual([answer.file_ids, asked.file_ids], [[], ['file-2']]);
	const { data: [step] } = await old.call('GET', `${path}/runs/${run.id}/steps`);
	assert.equal(step.step_details.message_creation.message_id, answer.id);
	assert.deepEqual((await old.call('GET', `${path}/runs`)).data, [run]);

	model.queue.push(words('cut'));
	const events = await old.stream(`${path}/runs`, { assistant_id: assistant.id });
	for (const [name, data] of events) {
		if (/^thread\.run\.[a-z_]+$/.test(name)) assertKeys(data, RUN);
		if (/^thread\.message\.(created|in_progress|completed)$/.test(name)) {
			assertKeys(data, MESSAGE);
		}
	}
	assert.deepEqual(events.slice(-2).map(([name]) => name), ['thread.run.completed', 'done']);
	// What is shown as version 1 is stored as version 2.
	const now = await current.call('GET', `${path}/runs/${events[0][1].id}`);
	assert.deepEqual(now.tools, [{ type: 'code_interpreter' }, USUAL_SEARCH]);
	assert.equal(now.file_ids, undefined);
	// The model was not sent a tool that the server lacks.
	assert.deepEqual(model.requests.map(({ json }) => json.tools), [undefined, undefined]);
	bench.expectLog(HOSTED);
	const warnings = bench.logEntries().filter(({ message }) => HOSTED.test(message));
	assert.equal(warnings.length, 2, 'once a run');
});
