// The systemd units: systemd's own verdict, and a socket that exists before the program and during its
// restarts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { PROGRAM, e2e, eventually, newThread, say, start, within } from './lib.mjs';
import { adapt, nginx, startedByServer, stop } from './lib-servers.mjs';

const UNITS = ['assistants-fcgi.socket', 'assistants-fcgi.service'];
const CLIENTS = 8;

// Run systemd-analyze, which prints nothing if all is well, and fails otherwise.
function analyze(...args) {
	return execFileSync('systemd-analyze', args, { encoding: 'utf8', stdio: 'pipe' });
}

// Copies of the units, with the real path of the program.
function unitFiles(bench) {
	return UNITS.map((name) => bench.file(name, adapt(`examples/${name}`,
		name.endsWith('.service') ? [[/(?<=^ExecStart=)\S+$/m, PROGRAM]] : []), 0o644));
}

e2e('systemd finds nothing wrong in the units', async (bench) => {
	assert.equal(analyze('verify', '--man=no', '--recursive-errors=no', ...unitFiles(bench)), '');
});

e2e('the service is exposed no more than it must be', async (bench) => {
	const [, service] = unitFiles(bench);
	analyze('security', '--offline=true', '--threshold=20', service);
});

test('the units, make install and nginx\'s example agree', () => {
	const [socket, service] = UNITS.map((name) => adapt(`examples/${name}`, []));
	const config = adapt('examples/nginx.conf.example', []);
	assert.equal(socket.match(/^ListenStream=(.*)$/m)[1],
		config.match(/^\t\t\tfastcgi_pass unix:(.*);$/m)[1]);
	assert.equal(socket.match(/^SocketGroup=(.*)$/m)[1], config.match(/^user (.*);$/m)[1]);
	// systemd would remove it, with the socket in it, when the service ends.
	assert.doesNotMatch(service, /^RuntimeDirectory=/m);
	const installed = adapt('Makefile', []).match(/\$\(PREFIX\)(\S*assistants\.fcgi)$/m)[1];
	assert.equal(service.match(/^ExecStart=(.*)$/m)[1], `/usr/local${installed}`);
});

test('make install puts all in place', async (t) => {
	const root = fs.mkdtempSync(path.join(os.tmpdir(), 'assistants-install-'));
	t.after(() => fs.rmSync(root, { recursive: true }));
	const top = path.resolve(import.meta.dirname, '../..');
	execFileSync('make', ['-s', 'install', `DESTDIR=${root}`, 'PREFIX=/usr'], { cwd: top });
	const mode = (file) => fs.statSync(path.join(root, 'usr', file)).mode & 0o777;
	assert.equal(mode('lib/assistants-fcgi/cgi-bin/assistants.fcgi'), 0o755);
	assert.equal(mode('share/man/man8/assistants.fcgi.8'), 0o644);
	assert.equal(mode('share/man/man5/assistants-fcgi.conf.5'), 0o644);
	const doc = 'share/doc/assistants-fcgi';
	assert.equal(mode(`${doc}/examples/tools/add_numbers`), 0o755);
	// All examples and documents.
	const files = (folder) => fs.readdirSync(folder, { recursive: true }).sort();
	for (const folder of ['examples', 'docs']) {
		assert.deepEqual(files(path.join(root, 'usr', doc, folder)), files(path.join(top, folder)));
	}
});

// The program behind nginx, on a socket that systemd's own tool opens and passes on. It starts with the
// first connection, and again after it has ended.
async function activated(bench) {
	const socket = path.join(bench.dir, 'socket');
	const { script, started } = startedByServer(bench, 'program', bench.env);
	const log = bench.file('systemd.log', '');
	const out = fs.openSync(log, 'a');
	const child = start('systemd-socket-activate', ['--inetd', '-l', socket,
		'/bin/sh', '-c', '"$0"; exec "$0"', script], { stdio: ['ignore', out, out], detached: true });
	fs.closeSync(out);
	bench.onClose(() => stop(child));
	const ended = child.ended.then(() => assert.fail(fs.readFileSync(log, 'utf8')));
	await Promise.race([eventually('the socket', () => fs.existsSync(socket)), ended]);
	fs.chmodSync(socket, 0o666);
	// Waiting until nginx listens is a request already.
	const site = await nginx(bench, '', [[/(?<=^\t+fastcgi_pass unix:).*(?=;)/gm, socket]]);
	return { ...site, started };
}

e2e('on a socket of systemd\'s it answers behind nginx', async (bench) => {
	const site = await activated(bench);
	const thread = await newThread(site);
	assert.equal((await say(site, thread, 'words')).status, 200);
	assert.equal(site.started().length, 1);
});

e2e('it restarts under load, and no request is lost', async (bench) => {
	const site = await activated(bench);
	let over = false;
	let answered = 0;
	const ask = async () => {
		while (!over) {
			await newThread(site);
			answered += 1;
		}
	};
	const clients = Promise.all(Array.from({ length: CLIENTS }, ask));
	await eventually('the first answers', () => answered > CLIENTS);
	const [first] = site.started();
	process.kill(Number(first), 'SIGTERM');
	await eventually('the program restarted', () => site.started().length === 2);
	const before = answered;
	await eventually('more answers', () => answered > before + 2 * CLIENTS);
	over = true;
	await within(clients, 'the last answers');
});
