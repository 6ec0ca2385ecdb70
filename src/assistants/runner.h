/*
 * Carries runs out: asks the model, hands events on as they come, stores the answer and the run's
 * end in one transaction. Only for src/assistants/.
 */
#ifndef ASSISTANTS_RUNNER_H
#define ASSISTANTS_RUNNER_H

#include "assistants/api.h"

struct run;
struct run_step;

/*
 * Carries out a run that is in_progress, in this thread. Its events go to request->on_event, the
 * last one tells how it ended; what was told as completed is stored. Seconds after which the model
 * server wants to be asked again, -1 if it did not say.
 */
long runner_stream(struct api *api, struct run *run, const struct api_request *request);

/* The same for a run that goes on, now that its calls are answered: `answered` is their step. */
long runner_resume(struct api *api, struct run *run, const struct run_step *answered,
    const struct api_request *request);

/* The same for one that nobody listens to. */
void runner_carry_out(struct api *api, struct run *run);

#endif
