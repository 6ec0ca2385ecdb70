// What /v1 refuses, as OpenAI's official client raises it: errors, keys, other tenants, pages of other
// origins.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { e2e, eventually } from './lib.mjs';
import { connect, eachSdk, makeKey, stage } from './lib-sdk.mjs';
import { behindNginx } from './lib-servers.mjs';
import { silence } from './lib-upstream.mjs';

const NOBODY = '0'.repeat(24);
const [ASSISTANT, THREAD, MESSAGE, RUN, STEP] =
	['asst', 'thread', 'msg', 'run', 'step'].map((prefix) => `${prefix}_${NOBODY}`);
const ORIGIN = 'https://pages.example';

/** For assert.rejects(): an error of this class, with this status, message and more. */
function raises(Class, status, message, more = {}) {
	return (error) => {
		assert.ok(error instanceof Class, error);
		assert.equal(error.status, status);
		if (message instanceof RegExp) assert.match(error.message, message);
		else assert.equal(error.message, `${status} ${message}`);
		const { type = 'invalid_request_error', code = null, param } = more;
		assert.deepEqual([error.type, error.code], [type, code]);
		if (param !== undefined) assert.equal(error.param, param);
		return true;
	};
}

eachSdk('ids that are unknown or invalid', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	const { messages, runs } = threads;
	const { id: thread_id } = await threads.create();
	const { id: assistant_id } = await assistants.create(
		{ model: 'a-model', instructions: 'Be kind.' });
	const { id: run_id } = await runs.createAndPoll(thread_id, { assistant_id });
	const unknown = [
		[() => assistants.retrieve(ASSISTANT), 'assistant', ASSISTANT],
		[() => assistants.update(ASSISTANT, { name: 'a' }), 'assistant', ASSISTANT],
		[() => assistants.delete(ASSISTANT), 'assistant', ASSISTANT],
		[() => assistants.list({ after: ASSISTANT }), 'assistant', ASSISTANT],
		[() => runs.create(thread_id, { assistant_id: ASSISTANT }), 'assistant', ASSISTANT],
		[() => threads.createAndRun({ assistant_id: ASSISTANT }), 'assistant', ASSISTANT],
		[() => threads.retrieve(THREAD), 'thread', THREAD],
		[() => threads.update(THREAD, { metadata: {} }), 'thread', THREAD],
		[() => threads.delete(THREAD), 'thread', THREAD],
		[() => messages.create(THREAD, { role: 'user', content: 'a' }), 'thread', THREAD],
		[() => messages.list(THREAD), 'thread', THREAD],
		[() => messages.retrieve(MESSAGE, { thread_id: THREAD }), 'thread', THREAD],
		[() => messages.retrieve(MESSAGE, { thread_id }), 'message', MESSAGE],
		[() => messages.update(MESSAGE, { thread_id, metadata: {} }), 'message', MESSAGE],
		[() => messages.delete(MESSAGE, { thread_id }), 'message', MESSAGE],
		[() => runs.create(THREAD, { assistant_id }), 'thread', THREAD],
		[() => runs.list(THREAD), 'thread', THREAD],
		[() => runs.retrieve(RUN, { thread_id }), 'run', RUN],
		[() => runs.update(RUN, { thread_id, metadata: {} }), 'run', RUN],
		[() => runs.cancel(RUN, { thread_id }), 'run', RUN],
		[() => runs.submitToolOutputs(RUN, { thread_id, tool_outputs: [] }), 'run', RUN],
		[() => runs.steps.list(RUN, { thread_id }), 'run', RUN],
		[() => runs.steps.retrieve(STEP, { thread_id, run_id }), 'run step', STEP],
	];
	for (const [ask, kind, id] of unknown) {
		await assert.rejects(ask(), raises(OpenAI.NotFoundError, 404,
			`No ${kind} found with id '${id}'.`));
	}
	const malformed = [
		[() => threads.retrieve('undefined'), 'thread_id', 'thread', 'undefined'],
		[() => assistants.retrieve('tutor'), 'assistant_id', 'asst', 'tutor'],
		[() => messages.retrieve(RUN, { thread_id }), 'message_id', 'msg', RUN],
		[() => runs.retrieve('1', { thread_id }), 'run_id', 'run', '1'],
		[() => runs.create(thread_id, { assistant_id: 'a' }), 'assistant_id', 'asst', 'a'],
		[() => messages.list(thread_id, { after: 'b' }), 'after', 'msg', 'b'],
	];
	for (const [ask, param, prefix, id] of malformed) {
		const message = `Invalid '${param}': '${id}'. Expected an ID that begins with '${prefix}'.`;
		await assert.rejects(ask(), raises(OpenAI.BadRequestError, 400, message, { param }));
	}
});

eachSdk('a thread whose run is active, and a run that is over', async (bench, OpenAI) => {
	const { openai, model } = await stage(bench, OpenAI);
	const { messages, runs } = openai.beta.threads;
	const { id: assistant_id } = await openai.beta.assistants.create(
		{ model: 'a-model', instructions: 'Be kind.' });
	const { id: thread_id } = await openai.beta.threads.create();
	model.queue.push(silence());
	const { id } = await runs.create(thread_id, { assistant_id });
	await eventually('the model is asked', () => model.requests.length === 1);
	await assert.rejects(runs.create(thread_id, { assistant_id }), raises(
		OpenAI.BadRequestError, 400, `Thread ${thread_id} already has an active run ${id}.`));
	await assert.rejects(messages.create(thread_id, { role: 'user', content: 'a' }), raises(
		OpenAI.BadRequestError, 400,
		`Can't add messages to ${thread_id} while a run ${id} is active.`));
	await assert.rejects(runs.submitToolOutputs(id, { thread_id, tool_outputs: [] }), raises(
		OpenAI.BadRequestError, 400,
		'Runs in status "in_progress" do not accept tool outputs.'));
	await runs.cancel(id, { thread_id });
	await runs.poll(id, { thread_id });
	await assert.rejects(runs.cancel(id, { thread_id }), raises(
		OpenAI.BadRequestError, 400, 'Cannot cancel run with status \'cancelled\'.'));
	const run = await runs.createAndPoll(thread_id, { assistant_id });
	await assert.rejects(runs.cancel(run.id, { thread_id }), raises(
		OpenAI.BadRequestError, 400, 'Cannot cancel run with status \'completed\'.'));
});

eachSdk('errors name what is wrong', async (bench, OpenAI) => {
	const { openai } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	const { id } = await threads.create();
	const user = (message) => threads.messages.create(id, { role: 'user', ...message });
	const wrong = [
		[() => assistants.create({}), 'model', /Missing required parameter: 'model'\./],
		[() => assistants.create({ model: 'a', colour: 'red' }), 'colour',
			/Unknown parameter: 'colour'\./],
		[() => assistants.create({ model: 'a', temperature: 3 }), 'temperature', /Invalid/],
		[() => assistants.create({ model: 'a', name: 'x'.repeat(257) }), 'name', /Invalid/],
		[() => assistants.create({ model: 'a', tools: [{ type: 'hammer' }] }),
			'tools[0].type', /'hammer'/],
		[() => threads.create({ metadata: { a: 1 } }), 'metadata.a', /Invalid type/, 'invalid_type'],
		[() => user({ content: '' }), 'content', /Invalid/],
		[() => user({ content: 7 }), 'content', /expected a string or an array/, 'invalid_type'],
		[() => user({ content: [{ type: 'text' }] }), 'content[0].text', /Missing/],
		[() => threads.messages.create(id, { role: 'judge', content: 'a' }), 'role',
			/'user', 'assistant'/],
		[() => threads.runs.create(id, { assistant_id: ASSISTANT, max_prompt_tokens: 0 }),
			'max_prompt_tokens', /from 1 to 1000000000/],
		[() => threads.messages.list(id, { limit: 101 }), 'limit', /1 to 100/],
		[() => threads.messages.list(id, { order: 'up' }), 'order', /'asc' or 'desc'/],
	];
	for (const [ask, param, message, code] of wrong) {
		await assert.rejects(ask(), raises(OpenAI.BadRequestError, 400, message, { param, code }));
	}
	assert.deepEqual((await assistants.list()).data, [], 'nothing of it was stored');
});

eachSdk('keys: none, a wrong one, and a file that changes', async (bench, OpenAI) => {
	const site = await behindNginx(bench);
	const list = (key) => connect(bench, OpenAI, site, key).beta.assistants.list();
	const refused = (message) =>
		raises(OpenAI.AuthenticationError, 401, message, { code: 'invalid_api_key' });
	await assert.rejects(list('sk-none'), refused(/--make-key/));

	const first = await makeKey(bench, 'first');
	assert.deepEqual((await list(first)).data, []);
	await assert.rejects(list('sk-wrong'), refused('Incorrect API key provided.'));
	await assert.rejects(list(`${first}x`), refused('Incorrect API key provided.'));

	const second = await makeKey(bench, 'second');
	assert.deepEqual((await list(second)).data, [], 'without a new start');
	const file = path.join(bench.state, 'keys');
	assert.equal(fs.statSync(file).mode & 0o777, 0o600);
	const lines = fs.readFileSync(file, 'utf8');
	assert.ok(!lines.includes(first) && !lines.includes(second), 'no key stands there itself');
	fs.writeFileSync(file, lines.replace(/^first .*\n/m, ''));
	await assert.rejects(list(first), refused('Incorrect API key provided.'));
	assert.deepEqual((await list(second)).data, []);
});

eachSdk('two tenants do not see each other\'s objects', async (bench, OpenAI) => {
	const { openai, site } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	const { id: assistant_id } = await assistants.create({ model: 'a-model' });
	const { id: thread_id } =
		await threads.create({ messages: [{ role: 'user', content: 'a secret' }] });
	const { id: run_id } = await threads.runs.createAndPoll(thread_id, { assistant_id });
	const { data: [message] } = await threads.messages.list(thread_id);
	const { data: [step] } = await threads.runs.steps.list(run_id, { thread_id });

	const others = connect(bench, OpenAI, site, await makeKey(bench, 'others')).beta;
	assert.deepEqual((await others.assistants.list()).data, []);
	const own = await others.threads.create();
	const foreign = [
		() => others.assistants.retrieve(assistant_id),
		() => others.assistants.update(assistant_id, { name: 'mine' }),
		() => others.assistants.delete(assistant_id),
		() => others.assistants.list({ after: assistant_id }),
		() => others.threads.retrieve(thread_id),
		() => others.threads.update(thread_id, { metadata: {} }),
		() => others.threads.delete(thread_id),
		() => others.threads.messages.list(thread_id),
		() => others.threads.messages.create(thread_id, { role: 'user', content: 'a' }),
		() => others.threads.messages.retrieve(message.id, { thread_id }),
		() => others.threads.messages.retrieve(message.id, { thread_id: own.id }),
		() => others.threads.messages.delete(message.id, { thread_id }),
		() => others.threads.runs.create(own.id, { assistant_id }),
		() => others.threads.runs.list(thread_id),
		() => others.threads.runs.retrieve(run_id, { thread_id }),
		() => others.threads.runs.cancel(run_id, { thread_id }),
		() => others.threads.runs.steps.retrieve(step.id, { thread_id, run_id }),
	];
	for (const ask of foreign) await assert.rejects(ask(), OpenAI.NotFoundError);
	assert.equal((await threads.messages.list(thread_id)).data.length, 2, 'all is as it was');

	const colleague = connect(bench, OpenAI, site, await makeKey(bench, 'tests')).beta;
	assert.equal((await colleague.threads.retrieve(thread_id)).id, thread_id,
		'a second key of the same name sees it all');
});

e2e('pages of an allowed origin may use /v1, other pages may not', async (bench) => {
	const site = await behindNginx(bench, { ASSISTANTS_ALLOW_ORIGIN: ORIGIN });
	const authorization = `Bearer ${await makeKey(bench, 'tests')}`;
	const wanted = 'authorization, content-type, x-stainless-lang, x-stainless-os';
	const preflight = (origin, method) => site.request('OPTIONS', '/v1/threads/runs', { headers: {
		origin, 'access-control-request-method': method,
		'access-control-request-headers': wanted,
	} });
	const grants = ({ headers }) => Object.keys(headers)
		.filter((name) => name.startsWith('access-control-'));
	for (const method of ['POST', 'DELETE']) {
		const { status, headers } = await preflight(ORIGIN, method);
		assert.equal(status, 204);
		assert.deepEqual([headers['access-control-allow-origin'], headers.vary,
			headers['access-control-allow-headers'], headers['access-control-allow-methods']],
		[ORIGIN, 'Origin', wanted, method]);
	}
	for (const origin of ['https://other.example', `${ORIGIN}.evil.example`, 'null']) {
		assert.deepEqual(grants(await preflight(origin, 'POST')), [], origin);
		const headers = { origin, authorization };
		const answer = await site.request('GET', '/v1/assistants', { headers });
		assert.deepEqual(grants(answer), [], origin);
		assert.equal(answer.headers.vary, 'Origin');
	}
	// A page must be able to read the error, too.
	for (const [status, headers] of [[200, { authorization }], [401, {}]]) {
		const answer = await site.request('GET', '/v1/assistants',
			{ headers: { origin: ORIGIN, ...headers } });
		assert.equal(answer.status, status);
		assert.equal(answer.headers['access-control-allow-origin'], ORIGIN);
		assert.match(answer.headers['access-control-expose-headers'], /x-request-id/);
	}
});

e2e('with no origin allowed, no page may use /v1', async (bench) => {
	const site = await behindNginx(bench);
	const { headers } = await site.request('OPTIONS', '/v1/assistants',
		{ headers: { origin: ORIGIN, 'access-control-request-method': 'GET' } });
	assert.equal(headers['access-control-allow-origin'], undefined);
});
