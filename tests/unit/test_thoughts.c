/* Which part of an answer is reasoning, in one piece and in pieces of any size. */
#include "support.h"

#include "model/thoughts.h"

enum { MAX = 1000 };

static const struct {
	const char *text, *words;
	bool unopened;
} rows[] = {
    {"", "", false},
    {"Hello.", "Hello.", false},
    {"<think>a</think>Hello.", "Hello.", false},
    {" \n<think>\na\n</think>\n\nHello.", "Hello.", false},
    {"<thinking>a</thinking> Hello.", "<thinking>a</thinking> Hello.", false},
    {"```\na\n</think>\n```\nb", "```\na\n</think>\n```\nb", false},
    {"a\n</think>", "a\n</think>", false},
    {"[THINK]a[/THINK]Hello.", "Hello.", false},
    {"<think></think>Hello.", "Hello.", false},
    {"<think>never closed", "", false},
    {"<thin ice>", "<thin ice>", false},
    {"<think", "<think", false},
    {"a <think>b</think> c", "a <think>b</think> c", false},
    {"a <think>\nb\n</think>\nc", "a <think>\nb\n</think>\nc", false},
    {"Write `</think>` there.", "Write `</think>` there.", false},
    {"a\n</think>\n\nHello.", "Hello.", true},
    {"a</think>\nHello.", "Hello.", true},
    {"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
	"Hello.", false},
};

static void
test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool unopened;

		check_text(rows[i].text, thoughts_skip(rows[i].text, &unopened), rows[i].words);
		check_int(rows[i].text, unopened, rows[i].unopened);
	}
}

/* In pieces of `size`; `held`: it is known that reasoning comes first. */
static void
check_pieces(const char *text, const char *words, bool held, size_t size)
{
	struct buf heard = BUF_INIT(MAX);
	struct thoughts thoughts;
	char piece[MAX];

	thoughts_init(&thoughts, held, MAX);
	for (size_t at = 0; at < strlen(text); at += size) {
		snprintf(piece, sizeof piece, "%.*s", (int)size, text + at);
		buf_puts(&heard, thoughts_feed(&thoughts, piece));
	}
	buf_puts(&heard, thoughts_end(&thoughts));
	check_text(text, heard.data ? heard.data : "", words);
	buf_free(&heard);
	thoughts_free(&thoughts);
}

static void
test_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t size = 1; size < 12; size++) {
			/* Before the tag nothing could be known, so everything has been shown. */
			if (!rows[i].unopened)
				check_pieces(rows[i].text, rows[i].words, false, size);
			check_pieces(rows[i].text, rows[i].words, true, size);
		}
}

static void
test_too_much(void **state)
{
	struct thoughts thoughts;

	(void)state;
	thoughts_init(&thoughts, true, 8);
	check_text("fits", thoughts_feed(&thoughts, "12345678"), "");
	check_text("does not", thoughts_feed(&thoughts, "9"), NULL);
	thoughts_free(&thoughts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests_name("thoughts", tests, NULL, NULL);
}
