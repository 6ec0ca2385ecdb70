// Other processes of the same user, and child processes, can read a process's initial environment: no key
// may be there, nor in its arguments.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { KEY, UPSTREAM_KEY, e2e, eventually, newThread, say, within } from './lib.mjs';
import { remoteServer } from './lib-remote.mjs';
import { fromShell } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';
import { bearer, makeKey } from './lib-v1.mjs';
import { parseCgi } from './lib-cgi.mjs';

const SOMEBODY = 65534;
const asSomebody = ['setpriv', `--reuid=${SOMEBODY}`, `--regid=${SOMEBODY}`, '--clear-groups'];

// As root, and as the program's own user if that is another.
function assertHidden(pid, uid = process.getuid()) {
	for (const name of ['environ', 'cmdline']) {
		const file = `/proc/${pid}/${name}`;
		const [command, ...args] = uid === process.getuid() ? ['cat', file]
			: [...asSomebody, 'cat', file];
		const read = [fs.readFileSync(file, 'latin1'),
			execFileSync(command, args, { encoding: 'latin1' })];
		for (const text of read) {
			assert.notEqual(text, '');
			assert.ok(![KEY, UPSTREAM_KEY].some((key) => text.includes(key)), `a key in ${file}`);
		}
	}
	assert.match(fs.readFileSync(`/proc/${pid}/environ`, 'latin1'), /ASSISTANTS_CONFIG=/);
}

function childrenOf(pid) {
	return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
}

e2e('FastCGI: the model server\'s key', async (bench) => {
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	assertHidden(server.child.pid);
	assert.equal((await say(server, await newThread(server), 'words')).status, 200);
	assert.equal(model.requests[0].headers.authorization, `Bearer ${KEY}`);
	assertHidden(server.child.pid);
});

e2e('FastCGI: as another user than root', async (bench) => {
	if (process.getuid() !== 0) return;
	const { program } = bench.programCopy();
	fs.chmodSync(bench.config, 0o644);
	fs.chmodSync(bench.dir, 0o777);
	bench.via = [...asSomebody, '/bin/sh', '-c', 'shift && exec "$0" "$@"', program];
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	assert.equal(fs.statSync(`/proc/${server.child.pid}`).uid, SOMEBODY);
	assertHidden(server.child.pid, SOMEBODY);
});

e2e('FastCGI: the key of a remote Assistants API', async (bench) => {
	const remote = await remoteServer(bench);
	const server = await bench.listen({ env: remote.env });
	await newThread(server);
	assert.equal(remote.requests[0].headers.authorization, `Bearer ${UPSTREAM_KEY}`);
	assertHidden(server.child.pid);
});

e2e('CGI: while the model is asked', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('at last', held.opened));
	const site = await fromShell(bench, model.env);
	const thread = await newThread(site);
	const child = bench.startCgi({
		env: model.env, method: 'POST', path: `/threads/${thread}/messages`, body: 'words',
	});
	await eventually('the model is asked', () => model.requests.length === 1);
	assertHidden(child.pid);
	held.open();
	await within(child.ended, 'the answer');
	assert.equal(parseCgi(await child.output).text.trimEnd(), 'at last');
});

e2e('CGI: a run that outlives its request, and the process that hands its answer on',
	async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('at last', held.opened));
		const headers = bearer(await makeKey(bench));
		const call = (method, uri, body) => {
			return { env: model.env, headers, method, path: uri, body: JSON.stringify(body) };
		};
		const assistant = await bench.cgi(call('POST', '/v1/assistants', { model: 'a-model' }));
		const thread = { messages: [{ role: 'user', content: 'words' }] };
		const child = bench.startCgi(call('POST', '/v1/threads/runs',
			{ assistant_id: assistant.json.id, thread, stream: true }));
		await eventually('the model is asked', () => model.requests.length === 1);
		const [carrier, ...more] = childrenOf(child.pid);
		assert.deepEqual(more, []);
		assertHidden(child.pid);
		assertHidden(carrier);
		held.open();
		await within(child.ended, 'the answer');
		assert.match(String(await child.output), /thread\.run\.completed/);
		await eventually('the other one ends', () => !fs.existsSync(path.join('/proc', carrier)));
	});
