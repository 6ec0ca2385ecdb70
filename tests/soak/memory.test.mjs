// A process does not grow: after many requests it is as large as after some. Many clients at once send
// messages, which are answered, given up, or fail at the model server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { e2e, freePort, newThread, say, within } from '../e2e/lib.mjs';
import { behindNginx, serve } from '../e2e/lib-servers.mjs';
import { gate, messageEvents, modelServer, newestWords, sse, words } from '../e2e/lib-upstream.mjs';
import { share } from './lib-crashes.mjs';

const CLIENTS = 16;

// All workers but two may wait for a model; otherwise more would be started now and then, by chance.
function environment(waiting) {
	const workers = String(waiting + 2);
	return { ASSISTANTS_LOG: 'error', ASSISTANTS_SYNC: 'normal', ASSISTANTS_WORKERS: workers };
}
const MESSAGES_A_THREAD = 5;
const WARM_UP = 500; // exchanges, before the first is counted
// By chance another conversation, with its four descriptors, may be cached.
const GROWTH_MAX = { memory_kib: 2048, threads: 4, descriptors: 4 * CLIENTS };
// Clients that left come back while their runs are being ended: each may need one more worker.
const LEAVING_GROWTH_MAX = { ...GROWTH_MAX, threads: 2 * CLIENTS };

// A model server that costs next to nothing: nginx, with one fixed answer.
async function fixedModel(bench, answer) {
	const port = await freePort();
	const folder = path.join(bench.dir, 'model');
	fs.mkdirSync(folder);
	const part = { type: 'output_text', text: 'hello, hello', annotations: [] };
	fs.writeFileSync(path.join(folder, 'responses'), sse(messageEvents(part)));
	const config = `
pid ${folder}/pid;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path ${folder}/body;
	fastcgi_temp_path ${folder}/1; proxy_temp_path ${folder}/2;
	scgi_temp_path ${folder}/3; uwsgi_temp_path ${folder}/4;
	server {
		listen 127.0.0.1:${port};
		root ${folder};
		default_type text/event-stream;
		keepalive_requests 1000000;
		location = /responses { ${answer} }
	}
}
`;
	const file = bench.file('model.conf', config);
	const log = path.join(folder, 'error.log');
	await serve(bench, 'nginx', ['-p', folder, '-c', file, '-e', log, '-g', 'daemon off;'],
		{ port, env: { PATH: bench.env.PATH } });
	return { OPENAI_BASE_URL: `http://127.0.0.1:${port}`, OPENAI_API_KEY: 'a-key' };
}

// The system's resources that a process uses.
function sizeOf({ pid }) {
	const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
	const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
	const descriptors = fs.readdirSync(`/proc/${pid}/fd`).length;
	return { memory_kib: number('VmRSS'), threads: number('Threads'), descriptors };
}

function median(numbers) {
	return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/*
 * Run `total` exchanges of all clients: in the last tenth the process must be as large as in the
 * second. Before that, caches and pools fill, and the allocator learns how much is used at once.
 */
async function assertSteady(t, program, total, exchange, growth_max = GROWTH_MAX) {
	const sizes = [];
	const start_ms = Date.now();
	let begun = -WARM_UP;
	await Promise.all(Array.from({ length: CLIENTS }, async () => {
		const client = { said: 0 };
		while (begun < total) {
			begun += 1;
			if (begun > 0 && begun % (total / 100) === 0) sizes.push(sizeOf(program));
			await exchange(client);
		}
	}));
	const rate = Math.round((WARM_UP + total) / (Date.now() - start_ms) * 1000);
	t.diagnostic(`${rate} messages/s`);
	for (const [what, growth] of Object.entries(growth_max)) {
		const [early, late] = [sizes.slice(10, 20), sizes.slice(-10)]
			.map((some) => median(some.map((size) => size[what])));
		t.diagnostic(`${what}: first ${early}, at last ${late}`);
		assert.ok(late <= early + growth, `${what}: ${early} became ${late}`);
	}
}

// The client's thread; a new one now and then, so that histories do not grow.
async function threadOf(site, client) {
	if (client.said % MESSAGES_A_THREAD === 0) {
		if (client.thread) {
			const { status } = await site.request('DELETE', `/threads/${client.thread}`);
			assert.equal(status, 204);
		}
		client.thread = await newThread(site);
	}
	client.said += 1;
	return client.thread;
}

const ANSWERED = share(100_000);
e2e(`${ANSWERED} messages are answered`, async (bench, t) => {
	const model = await fixedModel(bench, 'error_page 405 =200 /responses;');
	const server = await bench.listen({ env: { ...environment(CLIENTS), ...model } });
	await assertSteady(t, server.child, ANSWERED, async (client) => {
		const answer = await say(server, await threadOf(server, client), 'words');
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello, hello']);
	});
});

const FAILED = share(1000);
e2e(`${FAILED} messages fail at the model server`, async (bench, t) => {
	bench.expectLog(/^run: /);
	const model = await fixedModel(bench, 'return 500 "no";');
	const server = await bench.listen({ env: { ...environment(CLIENTS), ...model } });
	await assertSteady(t, server.child, FAILED, async (client) => {
		const answer = await say(server, await threadOf(server, client), 'words');
		assert.equal(answer.status, 502);
	});
});

const LEFT = share(1000);
e2e(`${LEFT} messages are left alone by their clients`, async (bench, t) => {
	const model = await modelServer(bench);
	const asked = new Map();
	let number = 0;
	model.otherwise = (response, { json }) => {
		model.requests.length = 0;
		asked.get(newestWords(json))(response);
		if (Math.random() < 0.5) return words('hello', gate().opened)(response);
	};
	// A client that comes back at once waits for the end of the run that it has left.
	const site = await behindNginx(bench, { ...environment(2 * CLIENTS), ...model.env });
	await assertSteady(t, site.child, LEFT, async (client) => {
		const path = `/threads/${await threadOf(site, client)}/messages`;
		const text = `words ${number++}`;
		const arrival = new Promise((resolve) => { asked.set(text, resolve); });
		const request = site.open('POST', path, text);
		const response = await within(arrival, 'the model is asked');
		const end = once(response, 'close');
		request.destroy();
		await within(end, 'the request to the model ends');
	}, LEAVING_GROWTH_MAX);
});
