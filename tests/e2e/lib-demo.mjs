// The demo, in a tree of its own, so that it does not disturb a running one.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAM, eventually, freePort, httpRequest, start } from './lib.mjs';
import { stop } from './lib-servers.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');

/** Copy the parts of this tree that the demo needs into the bench's folder; returns the copy. */
export function demoTree(bench) {
	const tree = path.join(bench.dir, 'a tree');
	fs.mkdirSync(path.join(tree, 'cgi-bin'), { recursive: true });
	fs.symlinkSync(PROGRAM, path.join(tree, 'cgi-bin/assistants.fcgi'));
	for (const part of ['tools', 'examples', 'www', 'lighttpd.conf.example']) {
		fs.cpSync(path.join(TOP, part), path.join(tree, part), { recursive: true });
	}
	assert.ok(fs.existsSync(path.join(tree, 'www/deep-chat')), 'run make www first');
	return tree;
}

/** Run the demo in such a tree until the test is over; `printed()` returns its output. */
export async function startDemo(bench, tree, env = {}) {
	const port = await freePort();
	const [out, err] = [bench.file('demo.out', ''), bench.file('demo.err', '')];
	// Of its standard error, only the program's lines.
	bench.onClose(() => fs.appendFileSync(bench.logFile,
		fs.readFileSync(err, 'utf8').replace(/^[^{].*\n/gm, '')));
	const fds = [out, err].map((file) => fs.openSync(file, 'a'));
	const demo = start('bash', [path.join(tree, 'tools/demo.sh')], {
		env: { ...bench.env, ...env, ASSISTANTS_STATE_DIR: path.join(tree, 'the state'), PORT: port },
		stdio: ['ignore', ...fds], detached: true,
	});
	fds.forEach((fd) => fs.closeSync(fd));
	bench.onClose(() => stop(demo));
	const ended = demo.ended.then(() => assert.fail(`the demo ended: ${fs.readFileSync(err)}`));
	const answers = eventually('the demo answers', () => httpRequest(port, 'GET', '/health')
		.then(({ status }) => status === 200, () => false));
	await Promise.race([answers, ended]);
	return {
		port, url: `http://localhost:${port}`, base: '',
		printed: () => fs.readFileSync(out, 'utf8'),
		request: (method, uri, more) => httpRequest(port, method, uri, more),
	};
}
