// The assistant's cached id, damaged: the assistant is found by its name, and never made twice.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { e2e, newThread, say } from './lib.mjs';
import { remoteServer, requested } from './lib-remote.mjs';

const LIST = 'GET /v1/assistants?limit=100';

// A remote API, a server, a thread, and the paths of the cache and its lock; the cache is written.
async function scene(bench) {
	const remote = await remoteServer(bench);
	remote.mode = 'stream';
	const server = await bench.listen({ env: remote.env });
	const thread = await newThread(server);
	const at = (name) => path.join(bench.state, name);
	const made = { remote, server, thread, cache: at('assistant'), lock: at('assistant.lock') };
	await answered(made);
	return made;
}

// Send a message; returns how often the assistant was looked for.
async function answered({ remote, server, thread }) {
	remote.takeLog();
	assert.equal((await say(server, thread, 'words')).text.trimEnd(), 'hello');
	assert.equal(remote.assistants.length, 1);
	return remote.takeLog().filter((line) => line === LIST).length;
}

function warnings(bench) {
	return bench.logEntries().filter(({ level }) => level === 'warn').length;
}

e2e('a damaged cache file is replaced, with one line in the log', async (bench) => {
	const made = await scene(bench);
	const good = fs.readFileSync(made.cache);
	const changed = (at, bytes) => {
		return Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)]);
	};
	const damaged = [
		...Array.from(good.keys(), (length) => good.subarray(0, length)),
		Buffer.alloc(good.length), Buffer.alloc(1 << 20, 'x'), Buffer.from('garbage\xff'),
		changed(good.length - 5, Buffer.from('\0')), changed(good.length - 5, Buffer.from('/')),
		changed(0, Buffer.from('b')), changed(good.length - 5, Buffer.from('\n')),
		Buffer.concat([good, good]), Buffer.concat([good, Buffer.from('\0')]),
		Buffer.from(String(good).replace(/id .*/, `id ${'a'.repeat(4000)}`)),
	];
	bench.expectLog(/\/state\/assistant was unreadable or damaged, and has been replaced/);
	for (const [index, content] of damaged.entries()) {
		fs.writeFileSync(made.cache, content);
		assert.equal(await answered(made), 1, `row ${index}`);
		assert.equal(warnings(bench), index + 1, `row ${index}`);
		assert.deepEqual(fs.readFileSync(made.cache), good);
	}
	assert.equal(await answered(made), 0);
	assert.equal(requested(made.remote, /./), false);
});

e2e('a cached id that is another one is looked up and replaced', async (bench) => {
	bench.expectLog(/does not know the assistant/);
	const made = await scene(bench);
	const good = fs.readFileSync(made.cache, 'utf8');
	fs.writeFileSync(made.cache, good.replace(/\w\n$/, 'X\n'));
	assert.equal(await answered(made), 1);
	assert.equal(fs.readFileSync(made.cache, 'utf8'), good);
});

e2e('a cache file that is missing, or links to nothing, is no damage', async (bench) => {
	const made = await scene(bench);
	for (const leave of [() => {}, () => fs.symlinkSync('nowhere', made.cache)]) {
		fs.unlinkSync(made.cache);
		leave();
		assert.equal(await answered(made), 1);
		assert.equal(await answered(made), 0);
		assert.ok(fs.lstatSync(made.cache).isFile());
	}
});

e2e('a cache file that cannot be read is replaced', async (bench) => {
	bench.expectLog(/was unreadable or damaged/);
	const made = await scene(bench);
	fs.unlinkSync(made.cache);
	fs.symlinkSync('assistant', made.cache);
	assert.equal(await answered(made), 1);
	assert.equal(await answered(made), 0);
	assert.equal(warnings(bench), 1);
});

e2e('a folder in the cache file\'s place: one line a message, and no second assistant',
	async (bench) => {
		bench.expectLog(/id cannot be stored in \S+\/state\/assistant: Is a directory/);
		const made = await scene(bench);
		fs.unlinkSync(made.cache);
		fs.mkdirSync(made.cache);
		for (const count of [1, 2, 3]) {
			assert.equal(await answered(made), 1);
			assert.equal(warnings(bench), count);
		}
		const names = fs.readdirSync(bench.state).sort();
		assert.deepEqual(names.filter((name) => !name.includes('.db')), ['assistant', 'assistant.lock', 'conversations']);
		fs.rmdirSync(made.cache);
		assert.equal(await answered(made), 1);
		assert.equal(await answered(made), 0);
	});

for (const [what, put] of [
	['a folder', (file) => fs.mkdirSync(file)],
	['garbage', (file) => fs.writeFileSync(file, Buffer.alloc(10_000, 'x'))],
	['a link to nothing', (file) => fs.symlinkSync('nowhere', file)],
]) {
	e2e(`${what} in the lock file's place: eight processes still make one assistant`,
		async (bench) => {
			const remote = await remoteServer(bench);
			fs.mkdirSync(bench.state);
			put(path.join(bench.state, 'assistant.lock'));
			const { env } = remote;
			const site = {
				request: (method, where, more) => {
					return bench.cgi({ env, method, path: where, ...more });
				},
			};
			await Promise.all(Array.from({ length: 8 }, async () => {
				const answer = await say(site, await newThread(site), 'words');
				assert.equal(answer.text.trimEnd(), 'hello');
			}));
			assert.equal(remote.assistants.length, 1);
			assert.equal(remote.takeLog().filter((line) => line === LIST).length, 1);
		});
}

e2e('a lock that cannot be taken: one line, and the assistant is found', async (bench) => {
	bench.expectLog(/no lock on \S+\/state\/assistant\.lock, going on without it: /);
	const made = await scene(bench);
	fs.unlinkSync(made.lock);
	fs.symlinkSync('assistant.lock', made.lock);
	fs.unlinkSync(made.cache);
	assert.equal(await answered(made), 1);
	assert.equal(await answered(made), 0);
	assert.equal(warnings(bench), 1);
});
