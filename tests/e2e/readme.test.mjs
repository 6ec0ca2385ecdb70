// The README's examples, and those that the demo prints: those that talk to the demo, and those that
// are the program as CGI, are run, as they stand but for port and path.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { PROGRAM, e2e } from './lib.mjs';
import { demoTree, startDemo } from './lib-demo.mjs';
import { behindLighttpd } from './lib-servers.mjs';
import { modelServer, status } from './lib-upstream.mjs';
import { makeKey } from './lib-v1.mjs';

const README = path.resolve(import.meta.dirname, '../../README.md');

// Examples that are not run here, by their first line, and why.
const NOT_RUN = [
	[/^(sudo )?make\b/, 'the program is made, and the demo imitated, by the tests themselves'],
	[/^git clone/, 'needs the network'],
	[/^(sudo )?(install|systemctl|apt|apt-get) /, 'changes the machine'],
	[/^(export )?OPENAI_\w+=/, 'needs a model server and a key of the reader\'s'],
];

function blocksOf(kind) {
	const text = fs.readFileSync(README, 'utf8');
	return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
		.filter(([, language]) => language === kind).map(([, , block]) => block);
}

const shellBlocks = () => blocksOf('sh');

// A folder in which a program finds the official package, as `npm install openai` makes it.
function folderWithOpenai(bench) {
	const installed = path.join(import.meta.dirname, 'node_modules/openai7');
	fs.mkdirSync(path.join(bench.dir, 'node_modules'));
	fs.symlinkSync(installed, path.join(bench.dir, 'node_modules/openai'));
}

const talksToDemo = (block) => /\bcurl\b.*localhost:8080/.test(block);
const isCgi = (block) => /GATEWAY_INTERFACE=CGI/.test(block);

test('README: each shell example is run, or there is a reason', () => {
	for (const block of shellBlocks().filter((one) => !talksToDemo(one) && !isCgi(one))) {
		const first = block.split('\n').find((line) => /^[^#\s]/.test(line));
		const reason = NOT_RUN.find(([pattern]) => pattern.test(first));
		assert.ok(reason, `nobody runs:\n${block}`);
	}
});

e2e('README: the examples with curl do what they say', async (bench) => {
	const blocks = shellBlocks().filter(talksToDemo);
	assert.notEqual(blocks.length, 0, 'README.md has no ```sh block with curl and localhost');
	// As the demo does.
	const tools = path.join(path.dirname(README), 'examples/tools');
	const { port } = await behindLighttpd(bench, { ASSISTANTS_TOOLS_DIR: tools });
	const key = bench.file('demo-key', `${await makeKey(bench, 'demo')}\n`);
	// An error of the server's is the example's, too. The blocks share one shell's variables.
	const script = ['set -eu', 'curl() { command curl --fail-with-body "$@"; }',
		...blocks.map((block) => `${block}\nprintf '\\n\\036\\n'`)].join('\n');
	const output = await bench.shell(script.replaceAll('localhost:8080', `localhost:${port}`)
		.replaceAll('build/demo/state/demo-key', key));
	const printed = output.split('\n\x1e\n');
	blocks.forEach((block, i) => assert.match(printed[i], /\S/, `nothing came of:\n${block}`));
});

e2e('README: the examples by CGI do what they say', async (bench) => {
	const blocks = shellBlocks().filter(isCgi);
	assert.notEqual(blocks.length, 0, 'README.md has no ```sh block with GATEWAY_INTERFACE');
	for (const block of blocks) {
		const script = block.replaceAll('cgi-bin/assistants.fcgi', PROGRAM);
		assert.match(await bench.shell(script), /^Status: 2/);
	}
});

e2e('README: the examples for Node do what they say', async (bench) => {
	const blocks = blocksOf('js');
	assert.notEqual(blocks.length, 0, 'README.md has no ```js block');
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

e2e('make demo: the program has the configured model, and says why its run failed', async (bench) => {
	bench.expectLog(/does not know the model a-model/);
	const model = await modelServer(bench);
	model.otherwise = status(404, {}, '{"error":{"message":"no such model","code":"model_not_found"}}');
	const env = { ...model.env, ASSISTANTS_MODEL: 'a-model', ASSISTANTS_MODEL_API: 'chat' };
	const { printed } = await startDemo(bench, demoTree(bench), env);
	const [program] = /^ {2}export [^]*\n {2}node [^]*?;"$/m.exec(printed());
	folderWithOpenai(bench);
	const said = await bench.shell(`{ ${program}\n} 2>&1 || echo ended with $?`);
	assert.match(said, /Error: .*the model a-model; ASSISTANTS_MODELS=a-model=NAME[^]*ended with 1/);
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
