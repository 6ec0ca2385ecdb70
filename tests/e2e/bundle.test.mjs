// The bundle for shared hosts, on a simulated host that has only glibc: a root folder with glibc's
// libraries, a user, and a home in which the archive was unpacked.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { KEY, PROGRAM, e2e, newThread, say, transcript } from './lib.mjs';
import { certificate, modelServer } from './lib-upstream.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');
const HOME = 'home/me';
const USER = 1000;

// That user may read the host's folders, whatever the umask of the test run.
process.umask(0o022);

// Without the variables of a make that may have started this one.
const run = (command, args) => execFileSync(command, args, {
	cwd: TOP, encoding: 'utf8', env: { ...process.env, MAKEFLAGS: '' },
});

function bundled(name, body) {
	e2e(name, (bench, t) => {
		if (fs.readFileSync(PROGRAM).includes('__asan_init')) {
			return t.skip('what is bundled is the other build, and is tested with that one');
		}
		return body(bench);
	});
}

// Make the bundle in a new folder; returns the archive's path and the output.
function pack(folder) {
	const program = 'build/release/bundle/assistants.fcgi';
	run('make', ['-s', program]);
	fs.mkdirSync(folder);
	const said = run('tools/bundle.sh', [program, folder]);
	return { archive: path.join(folder, fs.readdirSync(folder)[0]), said };
}

// A host where the archive is unpacked and its web folder is in public_html.
function makeHost(bench) {
	const root = path.join(bench.dir, 'root');
	const { archive } = pack(path.join(bench.dir, 'packed'));
	const at = (...names) => path.join(root, ...names);
	fs.mkdirSync(at(HOME, 'public_html'), { recursive: true });
	run('tar', ['-xzf', archive, '-C', at(HOME)]);
	fs.renameSync(at(HOME, 'assistants-fcgi/assistant'), at(HOME, 'public_html/assistant'));
	copyGlibc(root);
	fs.mkdirSync(at('etc'));
	fs.writeFileSync(at('etc/passwd'), `me:x:${USER}:${USER}::/${HOME}:/bin/sh\n`);
	const program = `/${HOME}/public_html/assistant/assistants.fcgi`;
	// From this link the loader takes $ORIGIN.
	fs.mkdirSync(at('proc/self'), { recursive: true });
	fs.symlinkSync(program, at('proc/self/exe'));
	// Without the bench's variables: settings are where a user has them.
	bench.env = { PATH: process.env.PATH };
	const command = [...asUser(root), program];
	const request = (method, uri, more) => bench.cgi({ command, method, path: uri, ...more });
	return { at, request };
}

// The loader, and the libraries that come with it.
function copyGlibc(root) {
	const needed = run('ldd', [PROGRAM]).match(/\/\S+(?= \(0x)/g);
	const own = /\/(ld-linux\S*|lib(c|m|resolv|pthread|dl|rt))\.so\.\d+$/;
	for (const library of needed.filter((one) => own.test(one))) {
		fs.mkdirSync(path.join(root, path.dirname(library)), { recursive: true });
		fs.copyFileSync(library, path.join(root, library));
	}
}

// The command line that runs a command below `root` as an ordinary user, whoever runs the tests.
function asUser(root) {
	if (process.getuid() !== 0) {
		return ['unshare', `--map-user=${USER}`, `--map-group=${USER}`, `--root=${root}`];
	}
	run('chown', ['-R', `${USER}:${USER}`, path.join(root, HOME)]);
	return ['chroot', `--userspec=${USER}:${USER}`, root];
}

bundled('the archive: modes, owners, nothing but the program in the web folder, always the same',
	(bench) => {
		const { archive, said } = pack(path.join(bench.dir, 'packed'));
		const again = pack(path.join(bench.dir, 'again')).archive;
		assert.deepEqual(fs.readFileSync(archive), fs.readFileSync(again));
		const entries = run('tar', ['-tvzf', archive, '--numeric-owner']).trim().split('\n')
			.map((line) => /^(\S+) (\S+) +\d+ \S+ \S+ (.+)$/.exec(line).slice(1));
		for (const [mode, owner, name] of entries) {
			assert.equal(owner, '0/0', name);
			const runs = name.endsWith('/') || name.endsWith('assistants.fcgi');
			assert.match(mode, runs ? /^[d-]rwxr-xr-x$/ : /^-rw-r--r--$/, name);
		}
		const names = entries.map(([, , name]) => name);
		const paths = names.map((name) => name.replaceAll('/', '\0'));
		assert.deepEqual(paths, [...paths].sort());
		assert.ok(names.every((name) => name.startsWith('assistants-fcgi/')));
		const web = names.map((name) => /^assistants-fcgi\/assistant\/([^/]+)/.exec(name)?.[1]);
		assert.deepEqual([...new Set(web)].filter(Boolean),
			['.htaccess', 'assistants.fcgi', 'chat', 'lib']);
		const install = run('tar', ['-xzOf', archive, 'assistants-fcgi/INSTALL']);
		const [, glibc] = /with glibc (\d+\.\d+) or newer/.exec(said);
		assert.ok(install.includes(`glibc ${glibc} or newer`), said);
		assert.doesNotMatch(install, /@[A-Z]+@/);
	});

bundled('a conversation where there is nothing but glibc', async (bench) => {
	const host = makeHost(bench);
	assert.equal((await host.request('GET', '/health')).status, 200);
	const thread = await newThread(host);
	const answer = await say(host, thread, 'I need to solve 3x + 11 = 14');
	assert.equal(answer.status, 200, answer.text);
	assert.deepEqual(await transcript(host, thread), [
		['user', 'I need to solve 3x + 11 = 14'], ['assistant', answer.text.trimEnd()],
	]);
	const state = host.at(HOME, '.local/state/assistants-fcgi');
	assert.ok(fs.readdirSync(state).includes('assistants.db'));
});

// Debian's place, which Debian's libcurl knows, and places that it does not know.
const CERTIFICATES = [
	'etc/ssl/certs/ca-certificates.crt', 'etc/pki/tls/certs/ca-bundle.crt', 'etc/ssl/ca-bundle.pem',
	'etc/ssl/cert.pem',
];

bundled('a model server by TLS, wherever the host keeps its certificates', async (bench) => {
	bench.expectLog(/TLS could not be verified/);
	const tls = certificate(bench);
	const model = await modelServer(bench, { tls });
	const host = makeHost(bench);
	const sample = fs.readFileSync(host.at(HOME, 'assistants-fcgi/config'), 'utf8');
	assert.match(sample, /^#OPENAI_API_KEY=.*$/m);
	assert.match(sample, /^#OPENAI_BASE_URL=.*$/m);
	fs.mkdirSync(host.at(HOME, '.config/assistants-fcgi'), { recursive: true });
	fs.writeFileSync(host.at(HOME, '.config/assistants-fcgi/config'), sample
		.replace(/^#(OPENAI_API_KEY=).*$/m, `$1${KEY}`)
		.replace(/^#(OPENAI_BASE_URL=).*$/m, `$1${model.url}`));
	const thread = await newThread(host);
	assert.equal((await say(host, thread, 'words')).status, 502);
	for (const place of CERTIFICATES) {
		fs.mkdirSync(path.dirname(host.at(place)), { recursive: true });
		fs.copyFileSync(tls.file, host.at(place));
		fs.chmodSync(host.at(place), 0o644);
		const answer = await say(host, thread, 'words');
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello'], place);
		fs.rmSync(host.at(place));
	}
	assert.equal(model.requests[0].headers.authorization, `Bearer ${KEY}`);
});
