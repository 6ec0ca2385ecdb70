#include "text/memory.h"

static _Thread_local bool out;

bool
memory_begin(void)
{
	bool before = out;

	out = false;
	return before;
}

void
memory_end(bool before)
{
	out = before;
}

void
memory_fail(void)
{
	out = true;
}

bool
memory_is_out(void)
{
	return out;
}
