// The chat page of the demo, on another site's page, and deep-chat as docs/page.md has it, in a browser.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { PROGRAM, e2e, eventually, say, transcript, within } from './lib.mjs';
import { PHONE, openPage, siteOf } from './lib-browser.mjs';
import { behindCgid } from './lib-apache.mjs';
import { demoTree, startDemo } from './lib-demo.mjs';
import { remoteServer } from './lib-remote.mjs';
import { placePage } from './lib-servers.mjs';
import {
	cutAfter, functionCalls, gate, incomplete, messageEvents, modelServer, status, stream, words,
} from './lib-upstream.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');
const HELLO = ['Assistant', 'Hello! What can I do for you?'];

// The demo with a scripted model server, and the page in a browser.
async function scene(bench, options) {
	const model = await modelServer(bench);
	const demo = await startDemo(bench, demoTree(bench), model.env);
	const chat = await openPage(bench, `${demo.url}/`, options);
	await chat.sees(HELLO);
	return { model, demo, chat };
}

// The demo always runs the release build, so it is tested with that one only.
function inBrowser(name, body) {
	e2e(name, (bench, t) => {
		if (fs.readFileSync(PROGRAM).includes('__asan_init')) return t.skip('a page of one build');
		return body(bench);
	});
}

const threadOf = (chat) => chat.page.evaluate(() => Object.values(localStorage)[0]);

inBrowser('a conversation: words one after another, stop, reload, go on, start again', async (bench) => {
	const { model, demo, chat } = await scene(bench);
	assert.equal(chat.page.url(), `${demo.url}/chat/`);
	await chat.page.getByText(`Who answers: the model server at ${model.url}`).waitFor();

	const held = gate();
	model.queue.push(words('Subtract 11 first, then *divide*.', held.opened));
	await chat.say('How?');
	await chat.sees(['You', 'How?'], ['Assistant', 'Subtrac']);
	held.open();
	const first = [['You', 'How?'], ['Assistant', 'Subtract 11 first, then divide.']];
	await chat.sees(HELLO, ...first);
	await chat.told('Assistant: Subtract 11 first, then divide.');
	assert.equal(await chat.page.getByRole('log').locator('em').innerText(), 'divide');

	model.queue.push(words('hello you', new Promise(() => {})));
	await chat.say('Go on');
	await chat.sees(['You', 'Go on'], ['Assistant', 'hello y']);
	await chat.button('Stop').click();
	await chat.told('Stopped.');
	await within(model.requests[1].left, 'the request to the model ends');

	await chat.page.reload();
	await chat.sees(HELLO, ...first, ['You', 'Go on'],
		['Assistant', 'hello y\n\nThis answer was stopped.']);
	await chat.say('Once more');
	await chat.sees(['You', 'Once more'], ['Assistant', 'hello']);
	assert.deepEqual(model.requests[2].json.input.map(({ role }) => role),
		['user', 'assistant', 'user', 'assistant', 'user']);

	const thread = await threadOf(chat);
	await chat.button('New conversation').click();
	await chat.sees(HELLO);
	await chat.say('Anew');
	await chat.sees(HELLO, ['You', 'Anew'], ['Assistant', 'hello']);
	assert.notEqual(await threadOf(chat), thread);
	assert.equal(model.requests[3].json.input.length, 1);
});

inBrowser('stopped before the first word, and left for a new conversation in the middle', async (bench) => {
	const { model, chat } = await scene(bench);
	model.queue.push(() => {}, words('hello you', new Promise(() => {})));
	await chat.say('One');
	await eventually('the model is asked', () => model.requests.length === 1);
	await chat.button('Stop').click();
	await chat.told('Stopped.');
	await within(model.requests[0].left, 'the request to the model ends');
	await chat.sees(HELLO, ['You', 'One']);
	await chat.say('Two');
	await chat.sees(['You', 'Two'], ['Assistant', 'hello y']);
	await chat.button('New conversation').click();
	await within(model.requests[1].left, 'the request to the model ends');
	await chat.sees(HELLO);
	assert.equal((await chat.conversation()).length, 1);
});

inBrowser('a tool is named while it is used, and a limit when it has cut', async (bench) => {
	const { model, chat } = await scene(bench);
	const held = gate();
	model.queue.push(functionCalls(['call_1', 'add_numbers', '{"a": 1, "b": 2}']), async (response) => {
		await held.opened;
		await words('It is 3.')(response);
	}, incomplete('It is a long'));
	await chat.say('1 + 2?');
	await chat.told('Assistant uses add_numbers …');
	held.open();
	await chat.sees(['You', '1 + 2?'], ['Assistant', 'It is 3.']);
	await chat.told(/^$/);
	await chat.say('Why?');
	await chat.sees(['Assistant', 'It is a long\n\nA limit has cut this answer short.']);
	await chat.page.reload();
	await chat.sees(['You', '1 + 2?'], ['Assistant', 'It is 3.'], ['You', 'Why?'],
		['Assistant', 'It is a long\n\nA limit has cut this answer short.']);
});

inBrowser('a model server that fails: the words come back, and the way on works', async (bench) => {
	bench.expectLog(/answered 500/, /run: /);
	const { model, demo, chat } = await scene(bench);
	model.queue.push(status(500));
	await chat.say('How *long*?');
	await chat.alerted('The assistant could not answer.', 'Try again');
	assert.equal(await chat.input.innerText(), 'How *long*?');
	await chat.sees(HELLO);
	await chat.picture('error');
	await chat.button('Try again').click();
	await chat.sees(HELLO, ['You', 'How long?'], ['Assistant', 'hello']);
	assert.equal(await chat.alert.innerText(), '');

	const events = messageEvents({ type: 'output_text', text: 'Subtract 11 first.', annotations: [] });
	model.queue.push(cutAfter(6, events));
	await chat.say('And now?');
	await chat.alerted(/^The assistant [^\n]*\./, 'Try again');
	await chat.sees(['You', 'And now?'], ['Assistant', 'Subtract 11 fi']);
	await chat.input.click();
	await chat.page.keyboard.type('Not sent yet');
	await chat.button('Try again').click();
	await chat.sees(['You', 'And now?'], ['Assistant', 'hello']);
	assert.equal(await chat.input.innerText(), 'Not sent yet');
	// A message that was sent again is in the thread twice, and shown once.
	const said = (await transcript(demo, await threadOf(chat))).map(([, text]) => text);
	assert.equal(said.filter((text) => text === 'How *long*?').length, 2);
	await chat.page.reload();
	await chat.sees(HELLO, ['You', 'How long?'], ['Assistant', 'hello'], ['You', 'And now?'],
		['Assistant', 'Subtract 11 fi\n\nThis answer broke off.'], ['You', 'And now?'], ['Assistant', 'hello']);
});

inBrowser('offline: what was typed is kept, and sent when the network is back', async (bench) => {
	const { chat } = await scene(bench);
	await chat.page.context().setOffline(true);
	await chat.say('Are you there?');
	await chat.alerted('You are offline. What you wrote is kept.', 'Try again');
	assert.equal(await chat.input.innerText(), 'Are you there?');
	await chat.page.context().setOffline(false);
	await chat.button('Try again').click();
	await chat.sees(HELLO, ['You', 'Are you there?'], ['Assistant', 'hello']);
	assert.equal(await chat.input.innerText(), '');

	await chat.page.route('**/threads/**', (route) => route.abort());
	await chat.page.reload();
	await chat.alerted('The assistant cannot be reached.', 'Try again');
	await chat.say('Now?');
	assert.equal(await chat.input.innerText(), 'Now?');
	await chat.page.unroute('**/threads/**');
	await chat.button('Try again').click();
	await chat.sees(HELLO, ['You', 'Are you there?'], ['Assistant', 'hello']);
	await chat.button('Send').click();
	await chat.sees(['You', 'Now?'], ['Assistant', 'hello']);
});

inBrowser('a busy thread: the message waits, or is refused and can be sent again', async (bench) => {
	const { model, demo, chat } = await scene(bench);
	await chat.say('One');
	await chat.sees(['You', 'One'], ['Assistant', 'hello']);
	const thread = await threadOf(chat);
	const first = gate();
	model.queue.push(words('the first', first.opened));
	const elsewhere = say(demo, thread, 'from another window');
	await eventually('the model is asked', () => model.requests.length === 2);
	await chat.say('Two');
	await chat.told('Assistant is answering');
	first.open();
	await elsewhere;
	await chat.sees(['You', 'Two'], ['Assistant', 'hello']);

	// The program waits for half a minute before it refuses, unless a client prefers less.
	const prefers = (route) => route.continue({
		headers: { ...route.request().headers(), accept: 'text/plain', prefer: 'wait=0' },
	});
	await chat.page.route('**/messages', prefers);
	const second = gate();
	model.queue.push(words('the second', second.opened));
	const again = say(demo, thread, 'from another window');
	await eventually('the model is asked', () => model.requests.length === 4);
	await chat.say('Three');
	await chat.alerted('The thread is still busy with another message', 'Try again');
	assert.equal(await chat.input.innerText(), 'Three');
	second.open();
	await again;
	await chat.page.unroute('**/messages');
	await chat.button('Try again').click();
	await chat.sees(['You', 'Three'], ['Assistant', 'hello']);
});

inBrowser('a machine so slow that deep-chat is late', async (bench) => {
	const { chat } = await scene(bench);
	await chat.page.addInitScript(() => {
		const create = document.createElement;
		document.createElement = function slowly(name) {
			const made = create.call(this, name);
			const end = performance.now() + (name === 'assistant-chat-inside' ? 60 : 0);
			while (performance.now() < end);
			return made;
		};
	});
	await chat.page.reload();
	await chat.say('One');
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello']);
});

inBrowser('a conversation that is gone', async (bench) => {
	const { demo, chat } = await scene(bench);
	await chat.say('One');
	await chat.sees(['You', 'One'], ['Assistant', 'hello']);
	await demo.request('DELETE', `/threads/${await threadOf(chat)}`);
	await chat.say('Two');
	await chat.alerted(/thread/, 'Send it in a new conversation');
	await chat.button('Send it in a new conversation').click();
	await chat.sees(HELLO, ['You', 'Two'], ['Assistant', 'hello']);
	assert.equal((await chat.conversation()).length, 3);
	await demo.request('DELETE', `/threads/${await threadOf(chat)}`);
	await chat.page.reload();
	await chat.told('Your earlier conversation is no longer there; this is a new one.');
	await chat.say('Three');
	await chat.sees(HELLO, ['You', 'Three'], ['Assistant', 'hello']);
});

inBrowser('too many messages: the program\'s own sentence', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_RATE: '1' };
	const chat = await openPage(bench, `${(await startDemo(bench, demoTree(bench), env)).url}/chat/`);
	await chat.say('One');
	await chat.sees(['You', 'One'], ['Assistant', 'hello']);
	await chat.say('Two');
	await chat.alerted(/^Too many messages come from your address; try again in \d+ seconds\./, 'Try again');
	assert.equal(await chat.input.innerText(), 'Two');
});

inBrowser('a page to log in, in place of the assistant', async (bench) => {
	const { chat } = await scene(bench);
	const login = (route) => route.fulfill({ contentType: 'text/html', body: '<title>Log in</title>' });
	await chat.page.route('**/threads', login);
	await chat.say('One');
	await chat.alerted('Something other than the assistant answered.', 'Try again');
	assert.equal(await chat.input.innerText(), 'One');
	assert.equal(await threadOf(chat), undefined);
	await chat.page.unroute('**/threads');
	await chat.button('Try again').click();
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello']);

	await chat.page.route('**/messages', login);
	await chat.page.reload();
	await chat.alerted('Something other than the assistant answered.', 'Try again');
	await chat.page.unroute('**/messages');
	await chat.button('Try again').click();
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello']);
});

inBrowser('a double click sends, and does not stop what it has sent', async (bench) => {
	const { chat } = await scene(bench);
	await chat.input.click();
	await chat.page.keyboard.type('One');
	await chat.button('Send').dblclick();
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello']);
});

inBrowser('a long answer in many small pieces is shown in fewer', async (bench) => {
	const { model, chat } = await scene(bench);
	await chat.page.getByRole('log').evaluate((log) => {
		window.written = 0;
		new MutationObserver(() => { window.written += 1; }).observe(log, { childList: true, subtree: true });
	});
	model.queue.push(words(`${'Some **words** of an answer.\n\n'.repeat(1000)}The end.`));
	await chat.say('One');
	await chat.told('The end.');
	// The pieces have 7 characters.
	const written = await chat.page.evaluate('window.written');
	assert.ok(written < 1000, `written ${written} times`);
});

const HOSTILE = `<script>alert(1)</script> <img src=x onerror=alert(2)> <b onclick="alert(3)">bold</b>

![picture](http://elsewhere.test/a.png) ![tiny](data:image/svg+xml,<svg/onload=alert(4)>)

[one](javascript:alert(5)) [two](JaVaScRiPt&colon;alert(6)) [three](data:text/html,<script>alert(7)</script>)
[four](vbscript:x) [five](//elsewhere.test/) <javascript:alert(8)> [good](https://good.test/?a="b)

[six]: javascript:alert(9)
[six] ![seven][six]

<iframe src="http://elsewhere.test/"></iframe><style>* { display: none }</style><form action="//elsewhere.test">

| a | b |
|:--|--:|
| 1 | <svg onload=alert(10)> |

\`\`\`js"onload="alert(11)
<script>alert(12)</script>
\`\`\`
`;

inBrowser('what a model says is only shown, never run', async (bench) => {
	const { model, chat } = await scene(bench);
	model.queue.push(words(HOSTILE));
	await chat.say('Surprise me <img src=x onerror=alert(0)> [x](javascript:alert(0))');
	await chat.told('Assistant: <script>alert(1)</script>');
	for (const when of ['as it came', 'from the conversation']) {
		const answer = chat.page.getByRole('log').getByRole('group').last();
		await chat.page.getByText('elsewhere.test').first().waitFor();
		const found = await answer.evaluate((group) => [...group.querySelectorAll('*')].map((one) => [
			one.localName, ...[...one.attributes].map(({ name, value }) => `${name}=${value}`),
		].join(' ')));
		const tags = new Set(found.map((one) => one.split(' ')[0]));
		const known = ['a', 'br', 'code', 'div', 'p', 'pre', 'table', 'tbody', 'td', 'th', 'thead', 'tr'];
		assert.deepEqual([...tags].filter((one) => !known.includes(one)), [], when);
		const links = found.filter((one) => one.startsWith('a ') || one === 'a');
		assert.deepEqual(links.filter((one) => one !== 'a'),
			['a href=https://good.test/?a=%22b target=_blank rel=noopener noreferrer'], when);
		const others = found.flatMap((one) => one.match(/ (?!href|target|rel)[\w-]+=/g) ?? []);
		assert.deepEqual([...new Set(others)].filter((one) => !/^ (class|align|role|aria-label)=$/.test(one)),
			[], when);
		assert.match(await answer.innerText(), /^<script>alert\(1\)<\/script>/);
		for (const link of await answer.locator('a:not([href])').all()) await link.click();
		assert.equal(chat.page.context().pages().length, 1);
		await chat.page.reload();
	}
});

inBrowser('citations are footnotes, with links where they lead somewhere', async (bench) => {
	const remote = await remoteServer(bench);
	remote.mode = 'stream';
	const url_citation = { url: 'https://example.org/a_(b)', title: 'A *page*' };
	const annotations = [
		{ type: 'file_citation', text: '【4:0†source】', start_index: 5, end_index: 17,
			file_citation: { file_id: 'file-A', quote: 'so it <b>is</b>' } },
		{ type: 'url_citation', start_index: 18, end_index: 22, url_citation },
	];
	remote.files.set('file-A', 'a_report_.pdf');
	remote.run.answers = [[{ text: 'Hello【4:0†source】 here.', annotations }]];
	const demo = await startDemo(bench, demoTree(bench), remote.env);
	const chat = await openPage(bench, `${demo.url}/chat/`);
	await chat.say('Sources?');
	const answer = ['Assistant', /^Hello\[1\].*\n+\[1\] a_report_\.pdf — “so it <b>is<\/b>”\n\[2\] A \*page\*$/];
	await eventually('the footnotes', async () => {
		const [who, text] = (await chat.conversation()).at(-1);
		return who === answer[0] && answer[1].test(text);
	});
	const link = chat.page.getByRole('link', { name: 'A *page*' });
	assert.equal(await link.getAttribute('href'), 'https://example.org/a_(b)');
});

const SHOWN = `Subtract **11** from both sides, then divide by **3**:

| step | equation |
|---|---|
| start | \`3x + 11 = 14\` |
| subtract 11 | \`3x = 3\` |
| divide by 3 | \`x = 1\` |

So **x = 1**. To check it:

\`\`\`python
x = 1
assert 3 * x + 11 == 14
\`\`\`
`;

const BEGUN = 'Because an equation stays true as long as the same is done to both of its';

// Begins to answer with this text, and breaks off.
function brokenOff(text, until) {
	const events = messageEvents({ type: 'output_text', text, annotations: [] });
	events.find(({ type }) => type.endsWith('.delta')).delta = text;
	return async (response) => {
		stream(events, new Promise(() => {}))(response);
		await until;
		response.destroy();
	};
}

for (const [name, options] of Object.entries({
	desktop: {},
	dark: { colorScheme: 'dark' },
	phone: PHONE,
	'phone-dark': { ...PHONE, colorScheme: 'dark' },
})) {
	inBrowser(`${name}: axe-core finds nothing, and a picture is made`, async (bench) => {
		bench.expectLog(/run: /);
		const { model, chat } = await scene(bench, options);
		await chat.picture(`${name}-empty`);
		const cut = gate();
		model.queue.push(words(SHOWN), brokenOff(BEGUN, cut.opened));
		await chat.input.click();
		await chat.page.keyboard.type('I need to solve 3x + 11 = 14.');
		await chat.button('Send').click();
		await chat.told('To check it');
		await chat.picture(name);
		await chat.input.click();
		await chat.page.keyboard.type('Thank you! And why is that so?');
		await chat.button('Send').click();
		await chat.sees(['Assistant', BEGUN]);
		await chat.picture(`${name}-answering`);
		cut.open();
		await chat.alerted(/^The assistant [^\n]*\./, 'Try again');
		await chat.picture(`${name}-error`);
	});
}

inBrowser('by keyboard only, and with a screen reader', async (bench) => {
	const { chat } = await scene(bench);
	const { keyboard } = chat.page;
	// The focus is in the input.
	await keyboard.type('One');
	await keyboard.press('Shift+Enter');
	await keyboard.type('two');
	// Safari's Enter that ends a composition: its keydown comes after compositionend.
	await chat.input.dispatchEvent('keydown', { key: 'Enter', keyCode: 229 });
	assert.equal(await chat.input.innerText(), 'One\ntwo');
	await keyboard.press('Tab');
	await keyboard.press('Space');
	await chat.sees(['You', 'One\ntwo'], ['Assistant', 'hello']);
	await chat.told('Assistant: hello');
	await chat.page.reload();
	await chat.sees(['You', 'One\ntwo'], ['Assistant', 'hello']);
	const order = [];
	for (const key of ['Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab']) {
		await keyboard.press(key);
		order.push(await chat.page.evaluate(() => {
			let at = document.activeElement;
			while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
			return at.getAttribute('aria-label') ?? at.textContent;
		}));
	}
	assert.deepEqual(order, ['Send', 'Message', 'Conversation', 'New conversation']);
});

inBrowser('without a model server the page says so, and how to connect one', async (bench) => {
	const chat = await openPage(bench, `${(await startDemo(bench, demoTree(bench))).url}/`);
	await chat.page.getByText('Who answers: the built-in offline model').waitFor();
	const commands = await chat.page.locator('assistant-chat code').allInnerTexts();
	assert.deepEqual(commands, ['OPENAI_API_KEY=… make demo',
		'OPENAI_BASE_URL=http://localhost:11434/v1 ASSISTANTS_MODEL=… make demo']);
	await chat.say('call add_numbers {"a": 2, "b": 40}');
	await chat.told(/^Assistant: .*42/);
	await chat.picture('first');
});

inBrowser('magnified four times there is room to read; a paragraph has its own direction', async (bench) => {
	const viewport = { width: 320, height: 256 };
	const chat = await openPage(bench, `${(await startDemo(bench, demoTree(bench))).url}/`, { viewport });
	await chat.sees(HELLO);
	const log = await chat.page.getByRole('log').boundingBox();
	const input = await chat.input.boundingBox();
	assert.ok(log.height >= 50, `${log.height} pixels for the conversation`);
	assert.ok(input.y + input.height <= viewport.height);
	assert.equal(await chat.page.evaluate('document.documentElement.scrollWidth'), viewport.width);
	await chat.say('שלום');
	const [words, bubble] = await chat.page.locator('.user-message-text').evaluate((one) => {
		const range = document.createRange();
		range.selectNodeContents(one.querySelector('p'));
		one.style.width = '200px';
		return [range.getBoundingClientRect(), one.getBoundingClientRect()].map(({ left, right }) =>
			({ left, right }));
	});
	assert.ok(bubble.right - words.right < words.left - bubble.left, 'it begins at the right');
});

inBrowser('on a shared host\'s Apache, as CGI in a folder of a site', async (bench) => {
	const model = await modelServer(bench);
	placePage(bench, 'site/assistant/chat');
	const site = await behindCgid(bench, model.env, { prefix: true });
	const chat = await openPage(bench, `http://localhost:${site.port}/assistant/chat/`);
	const held = gate();
	model.queue.push(words(SHOWN, held.opened));
	await chat.say('I need to solve 3x + 11 = 14.');
	await chat.sees(['You', 'I need to solve 3x + 11 = 14.'], ['Assistant', 'Subtrac']);
	held.open();
	await chat.told('To check it');
	await chat.picture('page');
});

const EXAMPLE = 'https://assistant.example.org';
const file = (name) => fs.readFileSync(path.join(TOP, name), 'utf8');

// The code block of docs/page.md in this language that contains this text.
function manualBlock(language, has) {
	const blocks = [...file('docs/page.md').matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
		.filter(([, one, words]) => one === language && words.includes(has));
	assert.equal(blocks.length, 1, `docs/page.md: ${language} with ${has}`);
	return blocks[0][2];
}

test('docs/page.md: the lines of HTML are those of the page and of embed.html', () => {
	assert.ok(file('www/index.html').includes(manualBlock('html', 'focus></assistant-chat>')));
	assert.ok(file('www/embed.html').includes(manualBlock('html', '<script defer')));
});

// Careless styles of a site's style sheet, and a careless script.
const CARELESS = `<style>
html { font-size: 62.5%; color: red }
* { margin: 0; color: red; text-transform: uppercase; letter-spacing: 1em }
div, p, button, header { display: none !important }
assistant-chat { --mine: rgb(1, 2, 3) }
</style>
<script>customElements.define('deep-chat', class extends HTMLElement {});</script>`;

inBrowser('on the page of another site', async (bench) => {
	const model = await modelServer(bench);
	const site = await siteOf(bench);
	const demo = await startDemo(bench, demoTree(bench),
		{ ...model.env, ASSISTANTS_ALLOW_ORIGIN: site.url });
	const embed = file('www/embed.html').replaceAll(EXAMPLE, demo.url);
	const policy = manualBlock('text', 'Content-Security-Policy')
		.replace('Content-Security-Policy: ', '').trim().replaceAll(EXAMPLE, demo.url);
	site.pages.set('/', [embed, policy]);
	site.pages.set('/empty', ['<link rel="icon" href="data:,">']);
	site.pages.set('/careless', [embed.replace('</head>', `${CARELESS}</head>`)]);

	const chat = await openPage(bench, `${site.url}/`, { origins: [demo.url], colorScheme: 'dark' });
	await chat.sees(HELLO);
	const own = await chat.page.evaluate(() => Object.getOwnPropertyNames(window));
	await chat.page.goto(`${site.url}/empty`);
	const before = new Set(await chat.page.evaluate(() => Object.getOwnPropertyNames(window)));
	assert.deepEqual(own.filter((name) => !before.has(name)), [], 'names left in the page');
	await chat.page.goto(`${site.url}/`);
	const held = gate();
	model.queue.push(words('hello **you**', held.opened));
	await chat.say('One');
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello *']);
	held.open();
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello you']);
	await chat.picture('embedded');

	await chat.page.goto(`${site.url}/careless`);
	await chat.sees(HELLO, ['You', 'One'], ['Assistant', 'hello you']);
	// Light, like the page, although the browser prefers dark.
	const looks = await chat.page.getByText('hello you').evaluate((one) => {
		const { color, fontSize, letterSpacing, textTransform } = getComputedStyle(one);
		return { color, fontSize, letterSpacing, textTransform };
	});
	assert.deepEqual(looks, {
		color: 'rgb(29, 33, 38)', fontSize: '16px', letterSpacing: 'normal', textTransform: 'none',
	});
	// It may choose colours.
	const mine = await chat.page.locator('.user-message-text')
		.evaluate((one) => getComputedStyle(one).backgroundColor);
	assert.equal(mine, 'rgb(1, 2, 3)');
	await chat.say('Two');
	await chat.sees(['You', 'Two'], ['Assistant', 'hello']);
});

inBrowser('docs/page.md: deep-chat without an adapter streams answers', async (bench) => {
	const model = await modelServer(bench);
	const site = await siteOf(bench);
	const demo = await startDemo(bench, demoTree(bench),
		{ ...model.env, ASSISTANTS_ALLOW_ORIGIN: site.url });
	const bundle = 'node_modules/deep-chat/dist/deepChat.bundle.js';
	site.pages.set('/', [manualBlock('html', 'deep-chat').replaceAll('http://localhost:8080', demo.url)]);
	site.pages.set(`/${bundle}`, [file(`tests/e2e/${bundle}`), '', 'text/javascript']);
	const { page } = await openPage(bench, `${site.url}/`, { origins: [demo.url] });
	const bubbles = () => page.locator('.message-bubble').allInnerTexts();
	const seen = (...texts) => eventually(`${texts} are seen`, async () =>
		JSON.stringify((await bubbles()).map((text) => text.trim())) === JSON.stringify(texts));
	const send = async (text) => {
		await page.locator('#text-input').click();
		await page.keyboard.type(text);
		await page.keyboard.press('Enter');
	};
	const held = gate();
	model.queue.push(words('hello **you**', held.opened),
		functionCalls(['call_1', 'add_numbers', '{"a": 1, "b": 2}']), words('hello again'));
	await send('One');
	await seen('One', 'hello *');
	held.open();
	// The end repeats the whole text, in place of the pieces.
	await seen('One', 'hello you');
	await send('Two');
	await seen('One', 'hello you', 'Two', 'hello again');
});
