/*
 * <assistant-chat name="…" greeting="…" focus>: a conversation with the assistant, below what is written
 * in the element. This page uses it, and so can a page of another site, by an ordinary
 * <script defer src="…/chat/chat.js">.
 *
 * deep-chat shows the messages and takes the words; here is what lies between it and the gateway: the
 * conversation's id, which the browser keeps, the stream of an answer, and what to do when something
 * fails. Everything that the model says is shown as markdown, with nothing in it that loads or runs.
 */
(() => {
'use strict';

const here = document.currentScript.src;
const beside = (name) => new URL(name, here).href;

/* --- the conversation --- */

/** An error in words; `way` is the remedy: 'again', 'anew', or undefined: change the text. */
class Problem extends Error {
	constructor(words, way) {
		super(words);
		this.way = way;
	}
}

const MAY_WORK_LATER = [408, 409, 429];

const typeOf = ({ headers }) => (headers.get('content-type') ?? '').split(';')[0];

// The program's errors are one plain sentence; a web server's are pages, which are not shown.
async function problemOf(response) {
	const { status } = response;
	const type = typeOf(response);
	const words = type === 'text/plain' ? (await response.text()).trim() :
		type === 'application/problem+json' ? (await response.json()).detail : '';
	const gone = status === 404 && words;
	const later = status >= 500 || MAY_WORK_LATER.includes(status);
	return new Problem(words || `The assistant's server answered ${status}.`,
		gone ? 'anew' : later ? 'again' : undefined);
}

// Most often a page to log in, after a redirect.
const notOurs = () => new Problem('Something other than the assistant answered. ' +
	'If this site wants you to log in, reload the page.', 'again');

const unreachable = () => new Problem(navigator.onLine === false ?
	'You are offline. What you wrote is kept.' :
	'The assistant cannot be reached. What you wrote is kept.', 'again');

async function* eventsOf(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = '', piece; !(piece = await reader.read()).done;) {
		const blocks = (rest + piece.value).split('\n\n');
		rest = blocks.pop();
		for (const block of blocks) {
			const [, event, data] = /^(?:event: (.*)\n)?data: (.*)$/.exec(block) ?? [];
			if (data !== undefined) yield { event, ...JSON.parse(data) };
		}
	}
}

class Conversation {
	constructor(base) {
		this.base = base;
		this.key = `assistant-chat ${base}`;
		// If the browser stores nothing, the conversation ends with the page.
		try {
			this.id = localStorage.getItem(this.key) ?? undefined;
		} catch {}
	}

	keep(id) {
		this.id = id;
		try {
			if (id) localStorage.setItem(this.key, id);
			else localStorage.removeItem(this.key);
		} catch {}
	}

	async request(method, path, type, { headers, ...more } = {}) {
		let response;
		try {
			response = await fetch(this.base + path,
				{ method, headers: { Accept: type, ...headers }, credentials: 'same-origin', ...more });
		} catch (error) {
			throw error.name === 'AbortError' ? error : unreachable();
		}
		if (!response.ok) throw await problemOf(response);
		if (typeOf(response) !== type) throw notOurs();
		return response;
	}

	/**
	 * The messages so far, {role, text, citations, incomplete} each; undefined: the thread is
	 * gone.
	 */
	async history() {
		if (!this.id) return [];
		try {
			const response = await this.request('GET', `threads/${this.id}/messages`, 'application/json');
			return (await response.json()).messages;
		} catch (problem) {
			if (problem.way !== 'anew') throw problem;
			this.keep(undefined);
			return undefined;
		}
	}

	/**
	 * Send a message; yields the answer's events: {text}, {event: 'tool'}, and at the end
	 * {event: 'done'}.
	 */
	async* say(body, signal) {
		if (!this.id) {
			const response = await this.request('POST', 'threads', 'text/plain', { signal });
			this.keep((await response.text()).trim());
		}
		const headers = { 'Content-Type': 'text/plain' };
		const response = await this.request('POST', `threads/${this.id}/messages`, 'text/event-stream',
			{ headers, body, signal });
		try {
			for await (const event of eventsOf(response.body)) {
				if (event.error) throw new Problem(event.error, 'again');
				yield event;
				if (event.event === 'done') return;
			}
		} catch (error) {
			if (error instanceof Problem || error.name === 'AbortError') throw error;
		}
		throw new Problem('The answer broke off.', 'again');
	}
}

/* --- markdown --- */

const escapeHtml = (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
const escapeMarkdown = (text) => text.replace(/\s+/g, ' ').replace(/[!-/:-@[-`{-~]/g, '\\$&');

// Only links whose target a reader can see, and nothing that runs.
function safeAddress(address) {
	try {
		const url = new URL(address);
		return /^(https?|mailto):$/.test(url.protocol) ? url.href : undefined;
	} catch {
		return undefined;
	}
}

// deep-chat's markdown allows every link and image; this restricts it. HTML is escaped already.
function onlyWords(markdown) {
	const { rules } = markdown.renderer;
	const cell = (tag) => (tokens, i) => `<${tag}${tokens[i].align ? ` align="${tokens[i].align}"` : ''}>`;
	rules.image = (tokens, i) => escapeHtml(tokens[i].alt ?? '');
	rules.link_open = (tokens, i) => {
		const address = safeAddress(tokens[i].href);
		return address === undefined ? '<a>' :
			`<a href="${escapeHtml(address)}" target="_blank" rel="noopener noreferrer">`;
	};
	// deep-chat's own cells have a style attribute, which the page's policy blocks.
	rules.th_open = cell('th');
	rules.td_open = cell('td');
}

/** The citations' footnotes, as markdown below the text. */
function withFootnotes(text, citations = []) {
	const notes = citations.map(({ index, name, url, file_id, quote }) => {
		const title = escapeMarkdown(name || url || file_id || '');
		const address = url && safeAddress(url);
		const linked = address ? `[${title}](<${address}>)` : title;
		return `> \\[${index}\\] ${linked}${quote ? ` — “${escapeMarkdown(quote)}”` : ''}`;
	});
	return notes.length === 0 ? text : `${text}\n\n${notes.join('\n')}`;
}

/** Why an answer is incomplete, by the API's reasons. */
const BROKE_OFF = {
	max_tokens: 'A limit has cut this answer short.',
	content_filter: 'A filter has ended this answer.',
	run_cancelled: 'This answer was stopped.',
	run_expired: 'This answer took too long, and was ended.',
};

/** A message as markdown: its text, its footnotes, and whether it broke off. */
function shown({ text, citations, incomplete }) {
	const words = withFootnotes(text, citations);
	const why = BROKE_OFF[/^max_/.test(incomplete) ? 'max_tokens' : incomplete];
	return incomplete ? `${words}\n\n*${why ?? 'This answer broke off.'}*` : words;
}

/* --- the element --- */

function set(element, attributes) {
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

function make(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	set(element, attributes);
	element.append(...children);
	return element;
}

const styles = () => make('link', { rel: 'stylesheet', href: beside('chat.css') });

const ARROW = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor"
	stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"><path d="M12 19V5M5 12l7-7 7 7"/></svg>`;

// deep-chat under a name of its own, because a page may have another one; made by tools/www.sh.
const INSIDE = 'assistant-chat-inside';
let loading;

function loadDeepChat() {
	loading ??= new Promise((resolve, reject) => {
		const script = make('script', { src: beside('deep-chat/deepChat.js') });
		Object.assign(script, { plugins: [{ plugin: onlyWords }], onload: resolve, onerror: reject });
		document.head.append(script);
	});
	return loading;
}

class AssistantChat extends HTMLElement {
	connectedCallback() {
		if (this.shadowRoot) return;
		this.name = this.getAttribute('name') || 'Assistant';
		const base = this.getAttribute('base') || beside('..');
		this.conversation = new Conversation(new URL(base.replace(/\/*$/, '/'), location.href).href);
		this.build();
		this.load();
	}

	build() {
		const heading = document.querySelector('h1') ? 'h2' : 'h1';
		this.another = make('button', { type: 'button', disabled: '' }, 'New conversation');
		this.another.onclick = () => this.anew();
		const above = make('div', { id: 'above' }, make('slot'));
		this.announcer = make('div', { role: 'status', class: 'unseen' });
		this.frame = make('div', { id: 'frame' });
		this.attachShadow({ mode: 'open' }).append(styles(), make('div', { id: 'chat' },
			make('header', {}, make(heading, {}, this.name), this.another),
			...(this.childElementCount ? [above] : []),
			this.frame, this.announcer));
	}

	async load() {
		try {
			await loadDeepChat();
		} catch {
			const words = 'This could not be loaded completely. Reload the page to try again.';
			this.frame.append(make('p', { role: 'alert' }, words));
			return;
		}
		const chat = this.chat = document.createElement(INSIDE);
		// It renders once, in 20 ms, and not again for each property: a second rendering, if 20 ms
		// are too short, would discard what begin() has added.
		chat._waitingToRender_ = true;
		const greeting = this.getAttribute('greeting');
		// Without a font, deep-chat fetches one from another host.
		chat.style.fontFamily = 'inherit';
		chat.connect = {
			stream: true,
			handler: (body, signals) => {
				this.answering = this.answer(body.messages.at(-1).text ?? '', signals);
			},
		};
		chat.submitButtonStyles = { submit: { svg: { content: ARROW } } };
		chat.textInput = { placeholder: { text: 'Write a message' } };
		// The default, true, adds a style element, which the page's policy blocks.
		chat.displayLoadingBubble = {};
		if (greeting) chat.introMessage = { text: greeting };
		chat.onComponentRender = () => this.begin();
		this.frame.append(chat);
	}

	// Called when deep-chat has made its elements: completes them, then restores the conversation.
	begin() {
		const inside = this.chat.shadowRoot;
		inside.append(styles());
		this.messages = inside.getElementById('messages');
		this.input = inside.getElementById('text-input');
		this.button = inside.querySelector('.input-button');
		this.state = make('p', { id: 'state', role: 'status' });
		this.trouble = make('div', { id: 'trouble', role: 'alert' });
		inside.getElementById('input').before(this.trouble, this.state);
		set(this.messages,
			{ role: 'log', 'aria-label': 'Conversation', 'aria-live': 'off', tabindex: '0' });
		set(this.input,
			{ role: 'textbox', 'aria-multiline': 'true', 'aria-label': 'Message', tabindex: '0' });
		this.label('Send');
		this.guard(inside);
		this.nameSpeakers();
		new MutationObserver(() => this.nameSpeakers())
			.observe(this.messages, { childList: true, subtree: true });
		if (this.hasAttribute('focus') && matchMedia('(hover: hover)').matches) this.input.focus();
		this.bringBack();
	}

	label(words) {
		set(this.button, { role: 'button', 'aria-label': words, title: words });
	}

	// What deep-chat gets wrong about buttons and typing.
	guard(inside) {
		inside.addEventListener('click', (event) => {
			// The second click of a double click would stop what the first has sent.
			if (event.detail > 1 && event.composedPath().includes(this.button)) event.stopPropagation();
		}, true);
		inside.addEventListener('keydown', (event) => {
			if (event.keyCode === 229) {
				// Belongs to an input method. In Safari this Enter comes after the
				// composition has ended.
				event.stopPropagation();
			} else if (event.key === ' ' && event.target === this.button) {
				event.preventDefault();
				if (!event.repeat) this.button.click();
			}
		}, true);
	}

	// Names the speakers for screen readers; others see them by place and colour.
	nameSpeakers() {
		for (const one of this.messages.querySelectorAll('.outer-message-container:not([role])')) {
			const mine = one.querySelector('.user-message-text');
			set(one, { role: 'group', 'aria-label': mine ? 'You' : this.name });
		}
	}

	async bringBack() {
		this.trouble.replaceChildren();
		this.chat.disableSubmitButton(true);
		this.another.disabled = true;
		let messages;
		try {
			messages = await this.conversation.history();
		} catch (problem) {
			this.complain(problem, () => this.bringBack());
			return;
		} finally {
			this.another.disabled = false;
		}
		if (!messages) {
			this.state.textContent = 'Your earlier conversation is no longer there; this is a new one.';
		}
		(messages ?? []).filter(({ role, text }, i, all) => {
			// A message that was sent again is in the conversation twice.
			const before = all[i - 1];
			return role !== 'user' || before?.role !== 'user' || before.text !== text;
		}).forEach((message) => {
			const role = message.role === 'user' ? 'user' : 'ai';
			this.chat.addMessage({ role, text: shown(message) });
		});
		this.chat.disableSubmitButton(false);
	}

	async answer(words, signals) {
		const left = new AbortController();
		signals.stopClicked.listener = () => left.abort();
		this.leave = () => left.abort();
		if (this.draft) this.write(this.draft);
		this.draft = '';
		this.trouble.replaceChildren();
		this.state.textContent = '';
		this.announcer.textContent = `${this.name} is answering`;
		// From now on the button stops the answer.
		signals.onOpen();
		this.label('Stop');
		const answer = { said: false };
		let problem;
		try {
			await this.show(this.conversation.say(words, left.signal), signals, answer);
		} catch (error) {
			problem = error;
		}
		signals.onClose();
		this.label('Send');
		if (!problem) this.announcer.textContent = `${this.name}: ${this.lastWords()}`;
		else this.fail(problem, words, answer.said);
	}

	async show(events, signals, answer) {
		let held = '', pause = 0, timer;
		const write = async () => {
			timer = undefined;
			// deep-chat shows a bubble that begins with blanks as a dot.
			if (!answer.said && held.trim() === '') return;
			this.state.textContent = '';
			answer.said = true;
			const text = held, begun = performance.now();
			held = '';
			await signals.onResponse({ text });
			// deep-chat renders the whole answer for each piece, so a long one is shown in
			// larger pieces.
			pause = 4 * (performance.now() - begun);
		};
		try {
			for await (const said of events) {
				const { event, name, text } = said;
				if (event === 'tool') {
					this.state.textContent = `${this.name} uses ${name} …`;
				} else if (event === 'done') {
					held = '';
					await signals.onResponse({ text: shown(said), overwrite: true });
					this.state.textContent = '';
				} else if (text) {
					held += text;
					timer ??= setTimeout(write, pause);
				}
			}
		} finally {
			clearTimeout(timer);
			if (held) await write();
		}
	}

	lastWords() {
		return [...this.messages.querySelectorAll('.ai-message-text')].pop()?.innerText ?? '';
	}

	fail(problem, words, said) {
		this.announcer.textContent = '';
		this.state.textContent = '';
		if (problem.name === 'AbortError') {
			this.state.textContent = 'Stopped.';
			return;
		}
		// If there was no answer, the text goes back to the input.
		if (!said) this.takeBack(words);
		this.complain(problem, said ? () => this.resend(words) : () => this.button.click());
	}

	// deep-chat then empties the input; what was typed there is restored.
	resend(words) {
		this.draft = this.input.innerText.trim();
		this.chat.submitUserMessage({ text: words });
	}

	takeBack(words) {
		const bubbles = [...this.messages.querySelectorAll('.user-message-text')];
		bubbles.pop()?.closest('.outer-message-container').remove();
		const later = this.input.innerText.trim();
		this.write(later ? `${words}\n${later}` : words);
	}

	write(words) {
		this.input.innerText = words;
		this.input.dispatchEvent(new Event('input'));
	}

	/** Show an error, with a button for the remedy. */
	complain(problem, again) {
		if (!(problem instanceof Problem)) {
			console.error(problem);
			problem = new Problem('Something went wrong in this page.', 'again');
		}
		const ways = { again: 'Try again', anew: 'Send it in a new conversation' };
		const parts = [make('p', {}, problem.message)];
		if (problem.way) {
			const button = make('button', { type: 'button' }, ways[problem.way]);
			button.onclick = async () => {
				this.input.focus();
				this.trouble.replaceChildren();
				if (problem.way === 'anew') await this.anew();
				again();
			};
			parts.push(button);
		}
		this.trouble.replaceChildren(...parts);
	}

	async anew() {
		this.leave?.();
		await this.answering;
		this.conversation.keep(undefined);
		this.chat.clearMessages();
		this.trouble.replaceChildren();
		this.state.textContent = '';
		this.announcer.textContent = 'A new conversation';
		this.chat.disableSubmitButton(false);
		this.input.focus();
	}
}

customElements.define('assistant-chat', AssistantChat);
})();
