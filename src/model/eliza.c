#include "model/eliza.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

#define ECHO_MAX 128 /* bytes of the user's words in an answer, before they are mirrored */
#define NUMBER_MAX 1000000000LL /* in an equation: the sum of two products fits a long long */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Keys may be anywhere in the text; "." in a key is the beginning or end of a clause. % in an
 * answer is what follows the key in its clause. The first matching rule counts; the last always
 * matches.
 */
struct rule {
	const char *keys, *answers;
};

/* (v[0] x + v[1]) / d = (v[2] x + v[3]) / d, d > 0, where x is called `unknown`. */
struct equation {
	long long v[4], d;
	char unknown;
	bool hard; /* not linear, more than one unknown, or large numbers */
};

#define GREETING ". hello|. hi|. hey|. howdy|. greetings|. good morning|. good evening|. good day"
#define ME "ELIZA, a small script built into this server: not a person, not an AI model."
#define REAL "Set OPENAI_API_KEY or OPENAI_BASE_URL on the server and a real model answers."

static const struct rule rules[] = {
    {"kill myself|hurt myself|harm myself|suicide|suicidal|want to die|end my life",
	"I am only a script and cannot help with this, but people can. Please talk to someone you "
	"trust, or call your local emergency number, now."},
    {"who are you|what are you|are you a|are you an|are you the|are you real|are you really|"
     "are you human|are you ai|are you alive|you're a|is this a|is this an|am i talking|your name|"
     "am i speaking|am i chatting|what model|which model|who made you|who wrote you",
	"I am " ME " I turn your words into questions.|I am " ME " " REAL},
    {"help .|help me .|what can you do|how do you work|how does this work",
	"I turn what you say into questions, and solve linear equations like 3x + 11 = 14. " REAL},
    {". write|. translate|. summarize|. explain|please write|please explain|me a joke|me a poem",
	"That is beyond a script such as me. What do you need it for?|I cannot do that. " REAL},
    {"i remember|thinking of|thinking about", "Do you often think of %?|Why think of % now?"},
    {"dream|dreams|dreamt|dreamed", "What does that dream suggest to you?|Do you dream often?"},
    {"sad|unhappy|depressed|lonely|tired|afraid|anxious|angry|upset|stressed|worried|scared",
	"That does not sound easy. How long have you felt that way?|What brought that on?"},
    {"mother|mom|mum|father|dad|sister|brother|wife|husband|family", "Tell me about your family."},
    {"computer|computers|machines|ai", "Do machines worry you?|Why do you mention machines?"},
    {"i need to|i want to|i have to|i'd like to", "Why do you want to %?|What if you could %?"},
    {"i need|i want|i'd like", "Why do you want %?|What would it mean to you if you got %?"},
    {"i can't|i cannot", "How do you know that you can't %?|What would help you to %?"},
    {"i don't|i do not", "Why don't you %?|Does it trouble you that you don't %?"},
    {"i feel like|i feel", "Do you often feel %?|When did you first feel %?"},
    {"i think that|i think|i believe", "Do you really think %?|What makes you sure that %?"},
    {"i like|i love|i hate", "What is it about % that makes you say so?|Since when, with %?"},
    {"can you please|can you|could you|would you", "What if I could %?|I cannot. " REAL},
    {"i am|i'm|im", "How long have you been %?|Do you think it is normal to be %?"},
    {"are you", "Why do you care whether I am %?|In what sense could a script be %?"},
    {"you are|you're", "What makes you think I am %?|Can a script be %, do you think?"},
    {"if", "Do you think it is likely that %?|Do you wish that %?|What would you do if %?"},
    {"because", "Is that the real reason?|What other reasons might there be?"},
    {"thank|thanks", "You are welcome, as far as a script can say so.|What else is on your mind?"},
    {". bye|goodbye", "Goodbye. It was a pleasure to turn your words around."},
    {"my", "Your %?|Why do you say your %?|What comes to mind when you think of your %?"},
    {"what|how|when|where|who|why", "Why do you ask?|What do you think?|What would please you?"},
    {". yes|. yeah|. sure", "You seem quite sure.|I see. And then?|How do you know?"},
    {". no|. nope", "Why not?|Are you saying no just to be negative?|What would make it a yes?"},
    {GREETING, "What would you like to talk about?|Hello again, still from the script. And you?"},
    {"you", "We were talking about you, not me.|What if I said that of you?"},
    {". .", "You are very quiet. What is on your mind?|Please say something."},
    {".",
	"This is the offline script. " REAL "|Please go on.|What does that suggest to you?|"
	"How do you feel about that?|The script is all there is here. " REAL
	"|Why do you say that just now?|Tell me more about that.|I see. And then?"},
};

/* Words of the user, each followed by its mirrored form; the first match counts. */
static const char *const reflections[] = {"i was", "you were", "was i", "were you", "you were",
    "I was", "were you", "was I", "you are", "I am", "are you", "am I", "do you", "do I", "can you",
    "can I", "to you", "to me", "for you", "for me", "with you", "with me", "about you", "about me",
    "of you", "of me", "than you", "than me", "you to", "me to", "you .", "me", "you and", "me and",
    "i", "you", "me", "you", "my", "your", "mine", "yours", "myself", "yourself", "am", "are",
    "i'm", "you're", "i've", "you've", "i'll", "you'll", "i'd", "you'd", "you", "I", "your", "my",
    "yours", "mine", "yourself", "myself", "you're", "I'm"};

/* Writes the words of `s`, each between blanks, with "." around clauses: " . Well . I am . ". */
static void
clean(char said[3 * ELIZA_TEXT_MAX + 8], const char *s)
{
	const char *end = s + strnlen(s, ELIZA_TEXT_MAX);
	char *p = said + snprintf(said, 4, " . ");

	for (size_t n; s < end; s += n ? n : 1) {
		n = utf8_sequence_len((const unsigned char *)s, (size_t)(end - s));
		if (n == 3 && memcmp(s, "\u2019", 3) == 0) {
			*p++ = '\'';
		} else if (n > 1 || isalnum((unsigned char)*s) || strchr("'-_@#/%&+=*^<>|~", *s) ||
		    (strchr(".,", *s) && isdigit((unsigned char)s[1])) ||
		    (*s == '(' && p[-1] != ' ')) {
			memcpy(p, s, n);
			p += n;
		} else {
			if (p[-1] != ' ')
				*p++ = ' ';
			if (strchr(".:,;!?()\n", *s) && p[-2] != '.')
				p += snprintf(p, 3, ". ");
		}
	}
	if (p[-1] != ' ')
		*p++ = ' ';
	snprintf(p, 3, "%s", p[-2] != '.' || p == said + 3 ? ". " : "");
}

/* What follows the first key found. With `more`, something must follow in the clause. */
static const char *
find(const char *said, const char *keys, bool more)
{
	for (size_t n; *keys; keys += n + (keys[n] == '|')) {
		char key[32];

		n = strcspn(keys, "|");
		snprintf(key, sizeof(key), " %.*s ", (int)n, keys);
		for (const char *p = said; (p = strcasestr(p, key)); p++) {
			if (!more || strncmp(p + n + 1, " . ", 3) != 0)
				return p + n + 1;
		}
	}
	return NULL;
}

/* Prints the user's words mirrored, up to the clause's end. */
static void
echo(FILE *out, const char *rest)
{
	const char *end = strstr(rest, " . "), *stop = end;

	while (stop - rest > ECHO_MAX || ((unsigned char)*stop & 0xc0) == 0x80)
		stop--;
	for (const char *word = rest + 1; word < stop;) {
		const char *to = word;
		size_t n = strcspn(word, " "), len = word + n < stop ? n : (size_t)(stop - word);

		for (size_t i = 0; i < COUNT(reflections) && to == word; i += 2) {
			size_t from = strlen(reflections[i]);

			if (strncasecmp(word, reflections[i], from) == 0 && word[from] == ' ') {
				to = reflections[i + 1];
				len = strlen(to);
				n = from;
			}
		}
		fprintf(out, "%s%.*s", word > rest + 1 ? " " : "", (int)len, to);
		word += n + 1;
	}
	fputs(stop < end ? "..." : "", out);
}

/* Prints the answer for this turn. */
static void
say(FILE *out, const char *answers, unsigned turn, const char *rest)
{
	unsigned count = 1;

	for (const char *p = answers; *p; p++)
		count += *p == '|';
	for (turn %= count; turn > 0; turn--)
		answers = strchr(answers, '|') + 1;
	for (; *answers && *answers != '|'; answers++) {
		if (*answers == '%')
			echo(out, rest);
		else
			fputc(*answers, out);
	}
}

static long long
gcd(long long a, long long b)
{
	return b == 0 ? llabs(a) : gcd(b, a % b);
}

/*
 * Adds a product, such as 3x, to v[place] or a constant to the next. Returns what follows, or NULL.
 */
static const char *
add(struct equation *e, size_t place, long long sign, const char *p)
{
	long long n = sign, d = 1, more;
	bool below = false, constant = true;

	for (const char *next;; p = next) {
		p += strspn(p, " ");
		if (isdigit((unsigned char)*p)) {
			long long k = strtoll(p, NULL, 10), *to = below ? &d : &n;

			e->hard |= (below && k == 0) || k > NUMBER_MAX / (llabs(*to) + 1);
			*to *= e->hard ? 1 : k;
			p += strspn(p, "0123456789");
		} else if (isalpha((unsigned char)*p) && !isalnum((unsigned char)p[1])) {
			e->hard |= below || !constant || (e->unknown && e->unknown != *p);
			e->unknown = *p++;
			constant = false;
		} else {
			return NULL;
		}
		next = p + strspn(p, " ");
		below = *next == '/';
		e->hard |= *next == '^';
		if (*next && strchr("*/^", *next))
			next++;
		else if (!isdigit((unsigned char)p[-1]) || !isalpha((unsigned char)*next) ||
		    isalnum((unsigned char)next[1]) || (next > p && strchr("aI", *next)))
			break;
	}
	more = d / gcd(e->d, d);
	for (size_t i = 0; i < COUNT(e->v) && !e->hard; i++) {
		e->v[i] = e->v[i] * more + (i == place + constant ? n * (e->d * more / d) : 0);
		e->hard = e->d * more > NUMBER_MAX || llabs(e->v[i]) > NUMBER_MAX;
	}
	e->d *= e->hard ? 1 : more;
	return p + strspn(p, " ");
}

/* Adds up a side, to v[place] and the next. Returns what follows, or NULL. */
static const char *
sum(struct equation *e, size_t place, const char *p)
{
	do {
		long long sign = 1;

		for (; *p && strchr("+- ", *p); p++)
			sign = *p == '-' ? -sign : sign;
		p = add(e, place, sign, p);
	} while (p && (*p == '+' || *p == '-'));
	return p;
}

/* Whether the word at `p` is in the list, in which a blank stands before and after each. */
static bool
listed(const char *p, const char *list)
{
	char key[16];

	snprintf(key, sizeof(key), " %.*s ", (int)strcspn(p, " "), p);
	return strcasestr(list, key) != NULL;
}

/* Finds the first equation with nothing before or after it that may belong to it. */
static bool
parse(struct equation *e, const char *said)
{
	for (const char *p = said + 1, *end; *p; p += strcspn(p, " ") + 1) {
		if (!listed(p, " . solve equation for x y z is if that need with when and find "))
			continue;
		*e = (struct equation){.d = 1};
		end = sum(e, 0, p + strcspn(p, " "));
		end = end && *end == '=' ? sum(e, 2, end + 1) : NULL;
		if (end && end[-1] == ' ' && e->unknown && !strchr("=<>%*/^|~(", *end) &&
		    !(*end & 0x80) &&
		    !listed(end, " times plus minus over or divided percent squared "))
			return true;
	}
	return false;
}

static void
put_side(FILE *out, const struct equation *e, long long x, long long c)
{
	if (x == 0)
		fprintf(out, "%lld", c);
	else /* %.0 prints no 0 */
		fprintf(out, "%s%.0lld%c", x < 0 ? "-" : "", x * x == 1 ? 0 : llabs(x), e->unknown);
	if (x != 0 && c != 0)
		fprintf(out, " %c %lld", c < 0 ? '-' : '+', llabs(c));
}

/* Subtracts x times the unknown and c, of which one is 0, from both sides; shows what is left. */
static void
subtract(FILE *out, struct equation *e, long long x, long long c)
{
	if (x != 0 || c != 0) {
		fputs(x + c < 0 ? " Add " : " Subtract ", out);
		put_side(out, e, llabs(x), llabs(c));
		fputs(x + c < 0 ? " to both sides: " : " from both sides: ", out);
	}
	for (size_t i = 0; i < COUNT(e->v); i++)
		e->v[i] -= i % 2 == 0 ? x : c;
	put_side(out, e, e->v[0], e->v[1]);
	fputs(" = ", out);
	put_side(out, e, e->v[2], e->v[3]);
	fputc('.', out);
}

static void
solve(FILE *out, struct equation *e)
{
	long long *v = e->v, divisor;

	if (e->d > 1)
		fprintf(out, "Multiply both sides by %lld: ", e->d);
	if (v[0] == 0 && v[2] != 0) /* the unknown to the left */
		*e = (struct equation){{v[2], v[3], v[0], v[1]}, .unknown = e->unknown};
	subtract(out, e, 0, 0);
	if (v[2] != 0)
		subtract(out, e, v[2], 0);
	if (v[0] == 0)
		fprintf(out, " That is %s true: %s.", v[1] == v[3] ? "always" : "never",
		    v[1] == v[3] ? "any number is a solution" : "there is no solution");
	else if (v[1] != 0)
		subtract(out, e, 0, v[1]);
	if (v[0] != 0 && v[0] != 1) {
		divisor = v[0] < 0 ? -gcd(v[0], v[3]) : gcd(v[0], v[3]);
		fprintf(out, " Divide by %lld: %c = %lld", v[0], e->unknown, v[3] / divisor);
		if (v[0] != divisor)
			fprintf(out, "/%lld", v[0] / divisor);
		fputc('.', out);
	}
}

char *
eliza_answer(const char *text, unsigned turn)
{
	char said[3 * ELIZA_TEXT_MAX + 8], *answer = NULL;
	const struct rule *rule = rules;
	struct equation e;
	const char *rest;
	size_t len;
	FILE *out = open_memstream(&answer, &len);

	if (!out)
		return NULL;
	clean(said, text);
	while (!(rest = find(said, rule->keys, strchr(rule->answers, '%'))))
		rule++;
	if (turn == 0 && rule > &rules[1] && find(said, GREETING, false))
		fputs("Hello. I am " ME " ", out);
	if (rule == rules || !parse(&e, said))
		say(out, rule->answers, turn, rest);
	else if (e.hard)
		fputs("Sorry, I only solve linear equations in one unknown, with small numbers.",
		    out);
	else
		solve(out, &e);
	if (fclose(out) == 0)
		return answer;
	free(answer);
	return NULL;
}
