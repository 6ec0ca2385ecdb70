#include "model/thoughts.h"

#include <string.h>

static const struct tag {
	const char *open, *close;
} tags[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"}, /* Mistral's */
    /* gpt-oss's */
    {"<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"},
};

enum { TAGS_LEN = sizeof tags / sizeof *tags, TAG_LEN_MAX = 64, HELD_MAX = 256 << 10 };

static const char blanks[] = " \t\r\n";

void
thoughts_init(struct thoughts *thoughts, bool held, size_t max)
{
	*thoughts = (struct thoughts){.held = held, .text = BUF_INIT(max)};
}

void
thoughts_free(struct thoughts *thoughts)
{
	buf_free(&thoughts->text);
}

/* The tag at the beginning of `text`; NULL: none. *maybe: it may be the beginning of one. */
static const struct tag *
opening(const char *text, bool *maybe)
{
	size_t len = strlen(text);

	*maybe = false;
	for (size_t i = 0; i < TAGS_LEN; i++) {
		size_t open_len = strlen(tags[i].open);

		if (strncmp(text, tags[i].open, open_len) == 0)
			return &tags[i];
		*maybe |= len < open_len && strncmp(tags[i].open, text, len) == 0;
	}
	return NULL;
}

/*
 * Finds the end of a tag that closes reasoning without an opening tag; NULL: there is none. A tag
 * that is merely mentioned is within a line, in a block of code, or follows its opening tag; and
 * text follows reasoning. The search starts at `from`.
 */
static const char *
unopened_end(const char *text, size_t from)
{
	for (size_t i = 0; i < TAGS_LEN; i++) {
		const char *at = strstr(text + from, tags[i].close), *open, *code, *behind;

		if (!at)
			continue;
		behind = at + strlen(tags[i].close);
		open = strstr(text, tags[i].open);
		code = strstr(text, "```");
		if ((!open || open > at) && (!code || code > at) &&
		    (*behind == '\n' || *behind == '\r') && behind[strspn(behind, blanks)])
			return behind;
	}
	return NULL;
}

const char *
thoughts_skip(const char *text, bool *unopened)
{
	const char *begin = text + strspn(text, blanks), *end;
	bool maybe;
	const struct tag *tag = opening(begin, &maybe);

	*unopened = false;
	if (tag) {
		end = strstr(begin, tag->close);
		if (!end)
			return begin + strlen(begin);
		end += strlen(tag->close);
	} else {
		end = unopened_end(text, 0);
		if (!end)
			return text;
		*unopened = true;
	}
	return end + strspn(end, blanks);
}

/* --- streamed text --- */

static const char *
text_of(const struct thoughts *thoughts)
{
	return thoughts->text.data ? thoughts->text.data : "";
}

/* Shows what is held from `at` on, and everything that follows. */
static const char *
let_go(struct thoughts *thoughts, const char *at)
{
	buf_drop(&thoughts->text, (size_t)(at - text_of(thoughts)));
	thoughts->state = THOUGHTS_OVER;
	return text_of(thoughts);
}

static const char *
look_inside(struct thoughts *thoughts)
{
	const char *text = text_of(thoughts), *end = strstr(text, thoughts->close);
	size_t kept = strlen(thoughts->close) - 1;

	if (end) {
		buf_drop(&thoughts->text, (size_t)(end - text) + kept + 1);
		thoughts->state = THOUGHTS_BEHIND;
	} else if (thoughts->text.len > kept) {
		buf_drop(&thoughts->text, thoughts->text.len - kept);
	}
	return "";
}

static const char *
look_behind(struct thoughts *thoughts)
{
	const char *text = text_of(thoughts), *begin = text + strspn(text, blanks);

	return *begin ? let_go(thoughts, begin) : "";
}

static const char *
look_held(struct thoughts *thoughts)
{
	size_t from = thoughts->looked_at > TAG_LEN_MAX ? thoughts->looked_at - TAG_LEN_MAX : 0;
	const char *end = unopened_end(text_of(thoughts), from);

	thoughts->looked_at = thoughts->text.len;
	if (!end && thoughts->text.len > HELD_MAX)
		return let_go(thoughts, text_of(thoughts));
	if (!end)
		return "";
	buf_drop(&thoughts->text, (size_t)(end - text_of(thoughts)));
	thoughts->state = THOUGHTS_BEHIND;
	return look_behind(thoughts);
}

static const char *
look_maybe(struct thoughts *thoughts)
{
	const char *text = text_of(thoughts), *begin = text + strspn(text, blanks);
	bool maybe;
	const struct tag *tag = opening(begin, &maybe);

	if (!*begin) {
		/* Many models begin with line breaks. */
		buf_drop(&thoughts->text, thoughts->text.len);
	} else if (tag) {
		buf_drop(&thoughts->text, (size_t)(begin - text) + strlen(tag->open));
		thoughts->close = tag->close;
		thoughts->state = THOUGHTS_INSIDE;
	} else if (!maybe && thoughts->held) {
		thoughts->state = THOUGHTS_HELD;
	} else if (!maybe) {
		return let_go(thoughts, text);
	}
	return "";
}

const char *
thoughts_feed(struct thoughts *thoughts, const char *piece)
{
	const char *words = "";

	if (thoughts->state == THOUGHTS_OVER)
		return piece;
	if (buf_puts(&thoughts->text, piece) < 0)
		return NULL;
	/* One piece may lead through several states. */
	if (thoughts->state == THOUGHTS_MAYBE)
		words = look_maybe(thoughts);
	if (thoughts->state == THOUGHTS_INSIDE)
		words = look_inside(thoughts);
	if (thoughts->state == THOUGHTS_BEHIND)
		words = look_behind(thoughts);
	return thoughts->state == THOUGHTS_HELD ? look_held(thoughts) : words;
}

bool
thoughts_hold(const struct thoughts *thoughts)
{
	return thoughts->state != THOUGHTS_OVER && thoughts->text.len > 0;
}

const char *
thoughts_end(struct thoughts *thoughts)
{
	const char *text = text_of(thoughts), *words = "";
	bool unopened;

	if (thoughts->state == THOUGHTS_HELD || thoughts->state == THOUGHTS_MAYBE)
		words = let_go(thoughts, thoughts_skip(text, &unopened));
	thoughts->state = THOUGHTS_OVER;
	return words;
}
