// The examples of the README and the manual, and those that the demo prints, are run as they are, with
// another port and other paths. Those of the manual pages are compared with the shipped configurations.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { PROGRAM, e2e } from './lib.mjs';
import { demoTree, startDemo } from './lib-demo.mjs';
import { behindLighttpd } from './lib-servers.mjs';
import { modelServer, status } from './lib-upstream.mjs';
import { makeKey } from './lib-v1.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');
const PAGES = ['README.md', ...fs.readdirSync(path.join(TOP, 'docs'))
	.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

// Shell examples that are not run here, by their first line, and why.
const NOT_RUN = [
	[/^(sudo )?make\b/, 'the tests build and install the program, and imitate the demo'],
	[/^(install|systemctl|apt-get|nginx|\/usr\/local\/lib\/assistants-fcgi\/\S+) /,
		'changes the machine; the files that it names are tested by themselves'],
	[/^OPENAI_\w+=/, 'needs a model server and a key'],
];

const talksToDemo = (block) => /\bcurl\b.*localhost:8080/.test(block);
const isCgi = (block) => /GATEWAY_INTERFACE=CGI/.test(block);
const isCommand = (block) => /^(.*\| )?cgi-bin\/assistants\.fcgi --/m.test(block);

const read = (file) => fs.readFileSync(path.join(TOP, file), 'utf8');
const firstLine = (block) => block.split('\n').find((line) => /^[^#\s]/.test(line));
const isRun = (block) => !NOT_RUN.some(([pattern]) => pattern.test(firstLine(block)));

// The page's code blocks in this language; of a shell's, those that are run.
const blocksOf = (page, wanted) => [...read(page).matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
	.filter(([, language, block]) => language === wanted && (wanted !== 'sh' || isRun(block)))
	.map(([, , block]) => block);

const pagesWith = (language, condition = () => true) =>
	PAGES.map((page) => [page, blocksOf(page, language).filter(condition)])
		.filter(([, blocks]) => blocks.length > 0);

// A folder in which a program finds the official package, as `npm install openai` makes it.
function folderWithOpenai(bench) {
	const installed = path.join(import.meta.dirname, 'node_modules/openai7');
	fs.mkdirSync(path.join(bench.dir, 'node_modules'));
	fs.symlinkSync(installed, path.join(bench.dir, 'node_modules/openai'));
}

test('each shell example of the documents is run, or there is a reason', () => {
	for (const [page, blocks] of pagesWith('sh')) {
		for (const block of blocks) {
			assert.ok(talksToDemo(block) || isCgi(block) || isCommand(block),
				`${page}: nothing runs\n${block}`);
		}
	}
});

for (const [page, blocks] of pagesWith('sh', talksToDemo)) {
	e2e(`${page}: the examples with curl do what they say`, async (bench) => {
		// As the demo does.
		const { port } = await behindLighttpd(bench, {
			ASSISTANTS_TOOLS_DIR: path.join(TOP, 'examples/tools'),
		});
		const key = bench.file('demo-key', `${await makeKey(bench, 'demo')}\n`);
		// An HTTP error fails the example. The blocks of a page share a shell and its variables.
		const script = ['set -eu', 'curl() { command curl --fail-with-body "$@"; }',
			...blocks.map((block) => `${block}\nprintf '\\n\\036\\n'`)].join('\n');
		const output = await bench.shell(script.replaceAll('localhost:8080', `localhost:${port}`)
			.replaceAll('build/demo/state/demo-key', key));
		const printed = output.split('\n\x1e\n');
		blocks.forEach((block, i) => assert.match(printed[i], /\S/, `${page}: this prints nothing\n${block}`));
	});
}

for (const [page, blocks] of pagesWith('sh', (block) => isCgi(block) || isCommand(block))) {
	e2e(`${page}: the examples with the program alone do what they say`, async (bench) => {
		for (const block of blocks) {
			// A command's standard error says what it did; it is not a log.
			const script = `set -eu\n${isCgi(block) ? '' : 'exec 2>&1\n'}${block}`;
			assert.match(await bench.shell(script.replaceAll('cgi-bin/assistants.fcgi', PROGRAM)),
				isCgi(block) ? /^Status: 2/ : /\S/);
		}
	});
}

for (const [page, blocks] of pagesWith('js')) {
	e2e(`${page}: the examples for Node do what they say`, async (bench) => {
		const { port } = await behindLighttpd(bench);
		const env = {
			OPENAI_BASE_URL: `http://localhost:${port}/v1`, OPENAI_API_KEY: await makeKey(bench),
		};
		folderWithOpenai(bench);
		for (const block of blocks) {
			bench.file('example.mjs', block.replaceAll('localhost:8080', `localhost:${port}`));
			assert.match(await bench.shell('node example.mjs', env), /\S/);
		}
	});
}

test('man assistants.fcgi: its server configurations are lines of the shipped ones', () => {
	const plain = (text) => text.replaceAll('#', '').replace(/\s+/g, ' ');
	const shipped = plain(['lighttpd.conf.example', ...fs.readdirSync(path.join(TOP, 'examples'))
		.filter((name) => /\.example$/.test(name)).map((name) => `examples/${name}`)].map(read).join('\n'));
	const [, examples] = /^\.Sh EXAMPLES\n([^]*?)^\.Sh /m.exec(read('man/assistants.fcgi.8'));
	const blocks = [...examples.matchAll(/^\.Bd .*\n([^]*?)^\.Ed$/gm)].map(([, block]) => block
		.replaceAll('\\(ti', '~').replaceAll('\\(ha', '^').replaceAll('\\-', '-').replaceAll('\\e\n', ''))
		.filter(isRun);
	assert.ok(blocks.length >= 6);
	for (const line of blocks.join('').split('\n')) {
		assert.ok(shipped.includes(plain(line).trim()), `no example has: ${line}`);
	}
});

e2e('make demo: the program has the configured model, and says why its run failed', async (bench) => {
	bench.expectLog(/does not have the model a-model/);
	const model = await modelServer(bench);
	model.otherwise = status(404, {}, '{"error":{"message":"no such model","code":"model_not_found"}}');
	const env = { ...model.env, ASSISTANTS_MODEL: 'a-model', ASSISTANTS_MODEL_API: 'chat' };
	const { printed } = await startDemo(bench, demoTree(bench), env);
	const [program] = /^ {2}export [^]*\n {2}node [^]*?;"$/m.exec(printed());
	folderWithOpenai(bench);
	const said = await bench.shell(`{ ${program}\n} 2>&1 || echo ended with $?`);
	assert.match(said, /Error: .*the model a-model; set ASSISTANTS_MODELS=a-model=NAME[^]*ended with 1/);
});

e2e('make demo: it refuses to be its own model server', async (bench) => {
	const demo = path.join(demoTree(bench), 'tools/demo.sh');
	const said = await bench.shell(`OPENAI_BASE_URL=http://localhost:8080/v1 '${demo}' 2>&1 || echo ended with $?`);
	assert.match(said, /^demo: OPENAI_BASE_URL is the demo's own address; unset [^]*\nended with 1\n/);
});

e2e('make demo: what it prints works as pasted', async (bench) => {
	const tree = demoTree(bench);
	// The second time there is a key already.
	await startDemo(bench, tree);
	await bench.close();
	const { printed, port } = await startDemo(bench, tree);
	const state = (file) => fs.readFileSync(path.join(tree, 'the state', file), 'utf8').trim();
	assert.match(state('keys'), /^demo sha256:\w+$/);

	assert.ok(!printed().includes(state('demo-key')), 'a key on the screen');
	assert.ok(printed().includes(`http://localhost:${port}/chat/`), 'the page is named');
	const pasted = [...printed().matchAll(/^ {2}(.*)$/gm)].map(([, line]) => line).join('\n');
	assert.match(pasted, /^id=[^]*\ncurl [^]*\nexport [^]*\ncurl [^]*\nnode /);
	folderWithOpenai(bench);
	const output = await bench.shell(
		`set -eu\ncurl() { command curl --fail-with-body "$@"; }\n${pasted}`);
	assert.match(output, /\b42\b[^]*"object":"list",[^]*\}[^{}]*x = 1/);
});
