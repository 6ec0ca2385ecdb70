/* The offline script: its answers, and that no input makes it crash or print invalid UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/eliza.h"
#include "text/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct dialogue {
	unsigned turn;
	const char *said, *expected; /* a part of the answer */
};

static const struct dialogue equations[] = {
    {0, "I need to solve the equation `3x + 11 = 14`. Can you help me?",
	"3x + 11 = 14. Subtract 11 from both sides: 3x = 3. Divide by 3: x = 1."},
    {3, "I need to solve 3x + 11 = 14", "x = 1."},
    {0, "2x-4=10", "Add 4 to both sides: 2x = 14. Divide by 2: x = 7."},
    {0, "solve 5 = 2y + 1", "2y + 1 = 5. Subtract 1 from both sides: 2y = 4. Divide by 2: y = 2."},
    {0, "x/2 = 3", "Multiply both sides by 2: x = 6."},
    {0, "x/2 + 1/3 = 5/6 - x", "Divide by 9: x = 1/3."},
    {0, "3 - x = 5", "-x = 2. Divide by -1: x = -2."},
    {0, "What is x if 4x = 6x + 3?",
	"Subtract 6x from both sides: -2x = 3. Divide by -2: x = -3/2."},
    {0, "solve for x: 3 x + 11 = 14!", "x = 1."},
    {0, "Hi! 2 * 3z = -12", "Hello. I am ELIZA"},
    {0, "Hi! 2 * 3z = -12", "6z = -12. Divide by 6: z = -2."},
    {0, "x = 5", "x = 5."},
    {0, "3x = 6 I think", "x = 2."},
    {0, "2x + 1 = 2x + 1", "1 = 1. That is always true: any number is a solution."},
    {0, "2x + 1 = 2x + 3", "1 = 3. That is never true: there is no solution."},
    {0, "0x + 3 = 5", "3 = 5. That is never true: there is no solution."},
    {0, "x + 1000000000000 = 1", "Sorry, I only solve"},
    {0, "99999999999999999999999x = 1", "Sorry, I only solve"},
    {0, "100000x/3 = 1/100003", "Sorry, I only solve"},
    {0, "x/0 = 3", "Sorry, I only solve"},
    {0, "1/x = 3", "Sorry, I only solve"},
    {0, "x^2 = 4", "Sorry, I only solve"},
    {0, "x*x = 4", "Sorry, I only solve"},
    {0, "2x + 3y = 6", "Sorry, I only solve"},
};

/* The script must not claim to have solved any of these. */
static const char *const no_equations[] = {"2 + 2 = 4", "E = mc^2", "f(x) = 2x + 1", "if x == 5",
    "y <= 5", "x != 5", "sin x = 1", "3 times x + 1 = 2", "3x = 4 times 2", "3x = 2(4)",
    "2(x+3) = 8", "1.5x = 3", "x = 1,000", "x = 1.5", "x = 6 \u2212 2", "3x \u2212 4 = 5",
    "x\u00b2 = 4", "PORT=8080", "x = ", "= x", "=", "x = y_1", "x = 14\u03c0", "x + = 3",
    "x = 3 = 4"};

static const struct dialogue dialogues[] = {
    {0, "Hello",
	"Hello. I am ELIZA, a small script built into this server: not a person, not an AI"},
    {1, "hello!", "Hello again, still from the script."},
    {0, "Hi, I need a break", "not an AI model. Why do you want a break?"},
    {0, "Who are you?", "I am ELIZA, a small script"},
    {1, "so WHAT ARE YOU", "I am ELIZA, a small script"},
    {2, "Are you a human?", "not a person, not an AI model"},
    {3, "are you an AI or what", "not a person, not an AI model"},
    {4, "But are you real?", "not a person, not an AI model"},
    {0, "what is your name?", "I am ELIZA"},
    {0, "I want to die", "Please talk to someone you trust"},
    {0, "Could you help me?", "solve linear equations"},
    {0, "I need you to help me with my homework",
	"Why do you want me to help you with your homework?"},
    {1, "I think you are not listening to me", "sure that I am not listening to you?"},
    {0, "I'm what I was, I guess", "How long have you been what you were?"},
    {1, "I don\u2019t know what I\u2019m doing", "that you don't know what you're doing?"},
    {0, "I was thinking of you.", "Do you often think of me?"},
    {0, "MY CAT DIED", "Your CAT DIED?"},
    {0, "You are my friend", "What makes you think I am your friend?"},
    {0, "I like \u00fcber\xff\xfe 100% r\u00f6sti", "about \u00fcber 100% r\u00f6sti that makes"},
    {0, "I am tall. My mother is sad", "How long have you felt that way?"},
    {1, "I need", "Please go on."},
    {0, "grue", "OPENAI_API_KEY or OPENAI_BASE_URL"},
    {1, "grue", "Please go on."},
    {2, "grue", "What does that suggest to you?"},
    {4, "grue", "OPENAI_API_KEY or OPENAI_BASE_URL"},
    {UINT32_MAX, "grue", "I see. And then?"},
    {0, "", "You are very quiet."},
    {0, " \t\r\n?!...", "You are very quiet."},
    {0, "\xe2\x80", "You are very quiet."},
};

/* Asks, checks what holds for every answer, and returns it; the caller frees. */
static char *
ask(const char *said, unsigned turn)
{
	char *answer = eliza_answer(said, turn), *again = eliza_answer(said, turn);

	assert_non_null(answer);
	assert_non_null(again);
	assert_string_equal(answer, again);
	assert_in_range(strlen(answer), 1, ELIZA_ANSWER_MAX);
	assert_true(utf8_valid(answer, strlen(answer)));
	free(again);
	return answer;
}

static void
check(const struct dialogue *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *answer = ask(table[i].said, table[i].turn);

		if (!strstr(answer, table[i].expected))
			fail_msg("\"%s\": expected \"%s\", was answered \"%s\"", table[i].said,
			    table[i].expected, answer);
		free(answer);
	}
}

static void
test_equations(void **state)
{
	(void)state;
	check(equations, COUNT(equations));
}

static void
test_no_equations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(no_equations); i++) {
		char *answer = ask(no_equations[i], 1);

		if (strstr(answer, "Divide") || strstr(answer, " = ") || strstr(answer, "Sorry"))
			fail_msg("\"%s\" was answered \"%s\"", no_equations[i], answer);
		free(answer);
	}
}

static void
test_dialogues(void **state)
{
	(void)state;
	check(dialogues, COUNT(dialogues));
}

/* Turns go through a rule's answers, and start again. */
static void
test_turns(void **state)
{
	char *first = ask("I need tea", 0), *second = ask("I need tea", 1),
	     *third = ask("I need tea", 2);

	(void)state;
	assert_string_not_equal(first, second);
	assert_string_equal(first, third);
	free(first);
	free(second);
	free(third);
}

/* Long words of the user are cut between characters, at every length. */
static void
test_long(void **state)
{
	static char said[3 * ELIZA_TEXT_MAX];

	(void)state;
	for (size_t pad = 0; pad < 4; pad++) {
		int len = snprintf(said, sizeof(said), "Hello, I need %.*s", (int)pad, "abcd");
		char *answer;

		for (size_t at = (size_t)len; at + 4 < sizeof(said); at += 4)
			memcpy(said + at, "\U0001f600", 5);
		answer = ask(said, 0);
		assert_non_null(strstr(answer, "\U0001f600...?"));
		free(answer);
	}
	for (size_t i = 0; i + 1 < sizeof(said); i++)
		said[i] = "i i "[i % 4];
	free(ask(said, 0));
	for (size_t i = 0; i + 1 < sizeof(said); i++)
		said[i] = "x+"[i % 2];
	free(ask(said, 0));
	for (size_t i = 0; i + 1 < sizeof(said); i++)
		said[i] = i % 2 ? '-' : '(';
	free(ask(said, 0));
}

/* Random bytes, the same in each run. */
static void
test_noise(void **state)
{
	static const char *const pieces[] = {"x", "3", "=", " ", "/", "-", "i need ", "you ",
	    "\xe2\x80\x99", "\xf0\x9f", "\xff", ". ", "*", "0", "999999999", "solve ", "hello ",
	    "\x01", "%s%n|", "\n", "("};
	uint64_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		char said[256];
		size_t len = 0;

		while (len < 200) {
			random = random * 6364136223846793005U + 1442695040888963407U;
			len += (size_t)snprintf(said + len, sizeof(said) - len, "%s",
			    pieces[(random >> 33) % COUNT(pieces)]);
		}
		free(ask(said + random % 200, round));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equations),
	    cmocka_unit_test(test_no_equations),
	    cmocka_unit_test(test_dialogues),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests_name("eliza", tests, NULL, NULL);
}
