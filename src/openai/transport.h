/* What the two transports share. Only for src/openai/. */
#ifndef OPENAI_TRANSPORT_H
#define OPENAI_TRANSPORT_H

#include "openai/openai.h"

/* The first member of each transport's own struct. */
struct openai {
	const char *place;
	int logged_status; /* status of an answer whose cause has been logged; 0: none */
	bool (*ready)(struct openai *openai);
	void (*call)(
	    struct openai *openai, const struct openai_call *call, struct openai_answer *answer);
	void (*stream)(struct openai *openai, const struct openai_call *call,
	    const struct listener *listener, struct openai_answer *answer);
	void (*keep)(struct openai *openai);
	void (*free)(struct openai *openai);
};

#endif
