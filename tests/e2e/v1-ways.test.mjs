// One program with OpenAI's official client through each way of hosting, and Azure's clients, which have a
// form of their own.

import assert from 'node:assert/strict';
import { AssistantsClient, AzureKeyCredential } from '@azure/openai-assistants';
import OpenAI, { AzureOpenAI as Azure7 } from 'openai7';
import { AzureOpenAI as Azure4 } from 'openai4';
import { AzureOpenAI as Azure6 } from 'openai6';
import { e2e, within } from './lib.mjs';
import { behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import {
	conversation, handled, makeKey, modern, stage, textOf, validate,
} from './lib-sdk.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

const WORDS = 'Subtract 11 first: 3x = 3. Grüße & "quotes" – 数学 🎓';

const WAYS = [
	['lighttpd', behindLighttpd], ['nginx', behindNginx], ['mod_proxy_fcgi', behindProxyFcgi],
	['mod_fcgid', behindFcgid], ['mod_cgid', behindCgid], ['fcgiwrap', behindFcgiwrap],
	['nginx, below a prefix', (bench, env) => behindNginx(bench, env, { prefix: true })],
];

for (const [way, behind] of WAYS) {
	e2e(`${way}: a program with the official client`, async (bench) => {
		const { openai, model } = await stage(bench, OpenAI, { behind });
		const { assistants, threads } = openai.beta;
		const { id: assistant_id } = await assistants.create({ model: 'a-model' });
		const { id: thread_id } = await threads.create({ metadata: { user: 'Jane' } });
		await threads.messages.create(thread_id, { role: 'user', content: 'one' });
		const polled = threads.runs.createAndPoll(thread_id, { assistant_id });
		assert.equal((await within(polled, 'the run\'s end')).status, 'completed');

		const held = gate();
		model.queue.push(words(WORDS, held.opened));
		const stream = threads.runs.stream(thread_id, {
			assistant_id, additional_messages: [{ role: 'user', content: 'two' }],
		});
		const { value } = await handled(stream, 'textDelta');
		assert.ok(value !== WORDS && WORDS.startsWith(value), 'nobody holds the events back');
		held.open();
		assert.equal(textOf((await stream.finalMessages())[0]), WORDS);

		assert.deepEqual(await conversation(openai, thread_id), [['user', 'one'],
			['assistant', 'hello'], ['user', 'two'], ['assistant', WORDS]]);
		assert.equal((await threads.runs.list(thread_id, { limit: 1 })).has_more, true);
		await threads.delete(thread_id);
		await assert.rejects(threads.retrieve(thread_id), OpenAI.NotFoundError);
		await assert.rejects(threads.retrieve('undefined'), OpenAI.BadRequestError);
	});
}

async function azureSite(bench) {
	const model = await modelServer(bench);
	const site = await behindNginx(bench, model.env);
	const endpoint = `http://127.0.0.1:${site.port}`;
	return { endpoint, apiKey: await makeKey(bench, 'tests') };
}

for (const [major, AzureOpenAI] of [[4, Azure4], [6, Azure6], [7, Azure7]]) {
	e2e(`openai ${major}: AzureOpenAI`, async (bench) => {
		const site = await azureSite(bench);
		const apiVersion = '2024-05-01-preview';
		const client = new AzureOpenAI({ ...site, apiVersion, maxRetries: 0 });
		validate(bench, client);
		const { assistants, threads } = modern(client).beta;
		const { id: assistant_id } = await assistants.create({ model: 'a-model' });
		const thread = { messages: [{ role: 'user', content: 'words' }] };
		const run = await threads.createAndRunPoll({ assistant_id, thread });
		assert.equal(run.status, 'completed');
		const { data } = await threads.messages.list(run.thread_id, { limit: 1 });
		assert.deepEqual(data.map(textOf), ['hello']);
		await assert.rejects(
			new AzureOpenAI({ ...site, apiVersion, apiKey: 'wrong' }).beta.assistants.list(),
			AzureOpenAI.AuthenticationError);
	});
}

e2e('Azure\'s own client', async (bench) => {
	const { endpoint, apiKey } = await azureSite(bench);
	const client = new AssistantsClient(endpoint, new AzureKeyCredential(apiKey),
		{ allowInsecureConnection: true, retryOptions: { maxRetries: 0 } });
	const assistant = await client.createAssistant({
		model: 'a-model', name: 'Tutor', instructions: 'Be brief.',
	});
	assert.deepEqual([assistant.name, assistant.model], ['Tutor', 'a-model']);
	assert.deepEqual((await client.listAssistants()).data.map(({ id }) => id), [assistant.id]);
	const thread = await client.createThread();
	await client.createMessage(thread.id, 'user', 'words');
	let run = await client.createRun(thread.id, { assistantId: assistant.id });
	while (run.status === 'queued' || run.status === 'in_progress') {
		run = await client.getRun(thread.id, run.id);
	}
	assert.equal(run.status, 'completed');
	const { data } = await client.listMessages(thread.id, { order: 'asc' });
	assert.deepEqual(data.map(({ role, content }) => [role, content[0].text.value]),
		[['user', 'words'], ['assistant', 'hello']]);
	const steps = await client.listRunSteps(thread.id, run.id);
	assert.deepEqual(steps.data.map(({ stepDetails }) => stepDetails.type), ['message_creation']);
	assert.equal((await client.deleteThread(thread.id)).deleted, true);
	assert.equal((await client.deleteAssistant(assistant.id)).deleted, true);
	await assert.rejects(client.getThread(thread.id), /No thread found with id/);
});
