// The assistant as a Node worker, with hono and OpenAI's own package: two endpoints on an Assistants API.
//
// Its API is OPENAI_BASE_URL. It differs from what people wrote in 2023 where that would cost it time: it
// looks for the assistant's id once, and polls without a pause.

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import OpenAI from 'openai';

const { assistants, threads } = new OpenAI().beta;
const definition = {
	name: 'Math Tutor', model: 'gpt-5.4-mini',
	instructions: 'You are a personal math tutor. Answer briefly, in a sentence or less.',
};
let known;

async function findOrCreate() {
	for await (const assistant of assistants.list({ limit: 100 })) {
		if (assistant.name === definition.name) return assistant.id;
	}
	return (await assistants.create(definition)).id;
}

function assistantId() {
	known ??= findOrCreate().catch((error) => {
		known = undefined;
		throw error;
	});
	return known;
}

async function ended(run) {
	while (['queued', 'in_progress', 'cancelling'].includes(run.status)) {
		run = await threads.runs.retrieve(run.id, { thread_id: run.thread_id });
	}
	return run;
}

const app = new Hono();

app.post('/threads', async (c) => c.text((await threads.create()).id, 201));

app.post('/threads/:id/messages', async (c) => {
	const thread = c.req.param('id');
	const assistant_id = await assistantId();
	await threads.messages.create(thread, { role: 'user', content: await c.req.text() });
	const run = await ended(await threads.runs.create(thread, { assistant_id }));
	if (run.status !== 'completed') return c.text('The assistant failed.', 502);
	const { data } = await threads.messages.list(thread, { run_id: run.id, order: 'asc' });
	return c.text(data.flatMap(({ content }) => content)
		.filter(({ type }) => type === 'text').map(({ text }) => text.value).join('\n\n'));
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) });
