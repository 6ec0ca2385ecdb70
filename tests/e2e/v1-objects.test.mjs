// The Assistants API's objects by OpenAI's official client: create, retrieve, modify, list, delete.

import assert from 'node:assert/strict';
import { conversation, eachSdk, stage, textOf, usageOf } from './lib-sdk.mjs';
import { words } from './lib-upstream.mjs';

const FUNCTION = { type: 'function', function: {
	name: 'get_stock_price', description: 'Get the current stock price', strict: false,
	parameters: { type: 'object', properties: { symbol: { type: 'string' } } },
} };
const ASSISTANT = {
	model: 'a-model', name: 'Tutor', description: 'of mathematics',
	instructions: 'Be brief. Grüße 数学 🎓',
	tools: [FUNCTION, { type: 'code_interpreter' }, { type: 'file_search', file_search: {
		max_num_results: 7, ranking_options: { ranker: 'auto', score_threshold: 0.5 },
	} }],
	tool_resources: {
		code_interpreter: { file_ids: ['file-1'] }, file_search: { vector_store_ids: ['vs_1'] },
	},
	metadata: { course: 'algebra' }, temperature: 0.3, top_p: 0.9, reasoning_effort: 'low',
	response_format: { type: 'json_schema', json_schema: {
		name: 'answer', schema: { type: 'object' }, strict: true,
	} },
};

async function all(page) {
	const items = [];
	for await (const item of page) items.push(item);
	return items;
}

const idsOf = (items) => items.map(({ id }) => id);

/** Assert what holds for all lists; `made` are the ids of the objects, oldest first. */
async function assertLists(list, made) {
	const newest = made.toReversed();
	assert.deepEqual(idsOf(await all(list({}))), newest);
	assert.deepEqual(idsOf(await all(list({ limit: 2 }))), newest, 'by several pages');
	assert.deepEqual(idsOf(await all(list({ limit: 3, order: 'asc' }))), made);
	assert.deepEqual(idsOf(await all(list({ after: newest[1] }))), newest.slice(2));
	const page = await list({ limit: 2, before: newest[3] });
	assert.deepEqual(idsOf(page.data), newest.slice(1, 3), 'those next to it');
	const first = await list({ limit: 2 });
	assert.equal(first.hasNextPage(), true);
	const second = await first.getNextPage();
	assert.deepEqual(idsOf(second.getPaginatedItems()), newest.slice(2, 4));
	const rest = await list({ after: made[0] });
	assert.deepEqual([rest.data, rest.hasNextPage()], [[], false]);
}

eachSdk('assistants', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const { assistants } = openai.beta;
	const created = await assistants.create(ASSISTANT);
	assert.match(created.id, /^asst_[A-Za-z0-9]{24}$/);
	const { id, object, created_at, ...shown } = created;
	assert.equal(object, 'assistant');
	assert.ok(Math.abs(created_at - Date.now() / 1000) < 600, 'times are Unix seconds');
	assert.deepEqual(shown, ASSISTANT);
	assert.deepEqual(await assistants.retrieve(id), created);

	const changes = { name: 'Doctor', tools: [FUNCTION], metadata: { course: 'geometry' } };
	assert.deepEqual(await assistants.update(id, changes), { ...created, ...changes });
	assert.deepEqual(await assistants.retrieve(id), { ...created, ...changes });
	const emptied = await assistants.update(id, { description: null, instructions: null });
	assert.deepEqual([emptied.description, emptied.instructions, emptied.name],
		[null, null, 'Doctor']);

	const bare = await assistants.create({ model: 'a-model' });
	const { name, tools, tool_resources, metadata, temperature, top_p, response_format } = bare;
	assert.deepEqual([name, tools, tool_resources, metadata, temperature, top_p,
		response_format], [null, [], {}, {}, 1, 1, 'auto']);

	const made = [id, bare.id];
	for (const model of ['one', 'two', 'three', 'four', 'five']) {
		made.push((await assistants.create({ model })).id);
	}
	await assertLists((query) => assistants.list(query), made);

	assert.deepEqual({ ...await assistants.delete(id) },
		{ id, object: 'assistant.deleted', deleted: true });
	await assert.rejects(assistants.retrieve(id), OpenAI.NotFoundError);
	await assert.rejects(assistants.delete(id), OpenAI.NotFoundError);
	assert.equal((await all(assistants.list())).length, made.length - 1);
});

eachSdk('threads', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const { threads } = openai.beta;
	const empty = await threads.create();
	assert.match(empty.id, /^thread_[A-Za-z0-9]{24}$/);
	assert.deepEqual([empty.object, empty.metadata, empty.tool_resources], ['thread', {}, {}]);
	assert.deepEqual(await conversation(openai, empty.id), []);

	const thread = await threads.create({
		messages: [
			{ role: 'user', content: 'one' },
			{ role: 'assistant', content: [{ type: 'text', text: 'two' }] },
		],
		metadata: { user: 'Jane' },
		tool_resources: { code_interpreter: { file_ids: ['file-1'] } },
	});
	assert.deepEqual([thread.metadata, thread.tool_resources],
		[{ user: 'Jane' }, { code_interpreter: { file_ids: ['file-1'] } }]);
	assert.deepEqual(await conversation(openai, thread.id),
		[['user', 'one'], ['assistant', 'two']]);
	assert.deepEqual(await threads.retrieve(thread.id), thread);
	const updated = await threads.update(thread.id, { metadata: { user: 'Joe' } });
	assert.deepEqual(updated, { ...thread, metadata: { user: 'Joe' } });
	assert.deepEqual(await threads.retrieve(thread.id), updated);

	assert.deepEqual({ ...await threads.delete(thread.id) },
		{ id: thread.id, object: 'thread.deleted', deleted: true });
	await assert.rejects(threads.retrieve(thread.id), OpenAI.NotFoundError);
	await assert.rejects(threads.messages.list(thread.id), OpenAI.NotFoundError);
	assert.deepEqual(await threads.retrieve(empty.id), empty, 'the other one is still there');
});

eachSdk('messages', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const { messages } = openai.beta.threads;
	const { id: thread_id } = await openai.beta.threads.create();
	const first = await messages.create(thread_id, {
		role: 'user', content: 'words', metadata: { from: 'Jane' },
		attachments: [{ file_id: 'file-1', tools: [{ type: 'code_interpreter' }] }],
	});
	assert.match(first.id, /^msg_[A-Za-z0-9]{24}$/);
	assert.deepEqual([first.object, first.thread_id, first.role, first.run_id,
		first.assistant_id, textOf(first), first.metadata],
	['thread.message', thread_id, 'user', null, null, 'words', { from: 'Jane' }]);
	assert.deepEqual(first.attachments,
		[{ file_id: 'file-1', tools: [{ type: 'code_interpreter' }] }]);
	assert.deepEqual(await messages.retrieve(first.id, { thread_id }), first);
	const updated = await messages.update(first.id, { thread_id, metadata: { from: 'Joe' } });
	assert.deepEqual(updated, { ...first, metadata: { from: 'Joe' } });
	assert.deepEqual(await messages.retrieve(first.id, { thread_id }), updated);

	const picture = await messages.create(thread_id, { role: 'user', content: [
		{ type: 'text', text: 'What is this?' },
		{ type: 'image_url', image_url: { url: 'https://localhost/a.png', detail: 'low' } },
		{ type: 'image_file', image_file: { file_id: 'file-2' } },
	] });
	assert.deepEqual(picture.content.map(({ type }) => type),
		['text', 'image_url', 'image_file']);

	const made = [first.id, picture.id];
	for (const content of ['three', 'four', 'five', 'six', 'seven']) {
		made.push((await messages.create(thread_id, { role: 'user', content })).id);
	}
	await assertLists((query) => messages.list(thread_id, query), made);

	assert.deepEqual({ ...await messages.delete(first.id, { thread_id }) },
		{ id: first.id, object: 'thread.message.deleted', deleted: true });
	await assert.rejects(messages.retrieve(first.id, { thread_id }), OpenAI.NotFoundError);
	const other = await openai.beta.threads.create();
	await assert.rejects(messages.retrieve(picture.id, { thread_id: other.id }),
		OpenAI.NotFoundError, 'a message is its thread\'s');
});

eachSdk('runs and their steps', async (bench, OpenAI) => {
	const { openai, model } = await stage(bench, OpenAI);
	const { runs, messages } = openai.beta.threads;
	const assistant = await openai.beta.assistants.create({ model: 'a-model', tools: [FUNCTION] });
	const { id: thread_id } = await openai.beta.threads.create();
	const made = [], steps = [];
	for (const asked of ['one', 'two', 'three', 'four', 'five']) {
		model.queue.push(words(`you said ${asked}`));
		const run = await runs.createAndPoll(thread_id, {
			assistant_id: assistant.id, metadata: { asked },
			additional_messages: [{ role: 'user', content: asked }],
		});
		assert.equal(run.status, 'completed');
		made.push(run.id);
		const { data } = await runs.steps.list(run.id, { thread_id });
		assert.equal(data.length, 1);
		steps.push(data[0]);
	}
	await assertLists((query) => runs.list(thread_id, query), made);

	const run = await runs.retrieve(made[0], { thread_id });
	assert.match(run.id, /^run_[A-Za-z0-9]{24}$/);
	assert.deepEqual([run.thread_id, run.assistant_id, run.model, run.tools, run.metadata],
		[thread_id, assistant.id, 'a-model', [FUNCTION], { asked: 'one' }]);
	assert.deepEqual(run.usage, usageOf(11, 7));
	const updated = await runs.update(run.id, { thread_id, metadata: { rated: 'good' } });
	assert.deepEqual(updated, { ...run, metadata: { rated: 'good' } });
	assert.deepEqual(await runs.retrieve(run.id, { thread_id }), updated);

	const [step] = steps;
	const listed = await all(messages.list(thread_id, { run_id: run.id }));
	assert.deepEqual(listed.map(textOf), ['you said one'], 'only that run\'s');
	assert.match(step.id, /^step_[A-Za-z0-9]{24}$/);
	assert.deepEqual([step.run_id, step.type, step.status, step.step_details],
		[run.id, 'message_creation', 'completed', {
			type: 'message_creation', message_creation: { message_id: listed[0].id },
		}]);
	assert.deepEqual(await runs.steps.retrieve(step.id, { thread_id, run_id: run.id }), step);
	await assert.rejects(runs.steps.retrieve(step.id, { thread_id, run_id: made[1] }),
		OpenAI.NotFoundError, 'a step is its run\'s');
});
