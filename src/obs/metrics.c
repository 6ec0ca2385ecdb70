#include "obs/metrics.h"

#include <errno.h>
#include <inttypes.h>

#include "obs/log.h"
#include "obs/metrics_file.h"

enum { LABELS_MAX = 3, US_PER_S = 1000000 };

enum kind { COUNTER, GAUGE, HISTOGRAM };

/* A bucket's upper bound, and the same in seconds as Prometheus reads it. */
struct bound {
	long long us;
	const char *le;
};

/* A change here needs a new version of the file: metrics_file.c. */
static const struct bound model_bounds[] = {
    {100000, "0.1"},
    {250000, "0.25"},
    {500000, "0.5"},
    {1000000, "1"},
    {2500000, "2.5"},
    {5000000, "5"},
    {10000000, "10"},
    {30000000, "30"},
    {60000000, "60"},
    {120000000, "120"},
    {300000000, "300"},
    {600000000, "600"},
    {INT64_MAX, "+Inf"},
    {0, NULL},
};
static const struct bound write_bounds[] = {
    {100, "0.0001"},
    {1000, "0.001"},
    {5000, "0.005"},
    {25000, "0.025"},
    {100000, "0.1"},
    {500000, "0.5"},
    {2500000, "2.5"},
    {10000000, "10"},
    {INT64_MAX, "+Inf"},
    {0, NULL},
};

static const struct family {
	const char *name, *help;
	const char *labels[LABELS_MAX]; /* a counter's */
	const struct bound *bounds;     /* a histogram's */
	enum kind kind;
	unsigned gauge; /* a gauge's index in the file */
} families[METRIC__MAX] = {
    [METRIC_REQUESTS] = {"assistants_requests_total", "Requests that were answered.",
	{"method", "route", "status"}, .kind = COUNTER},
    [METRIC_WORKERS_BUSY] = {"assistants_workers_busy", "Requests that are being answered.",
	.kind = GAUGE, .gauge = 0},
    [METRIC_WAITING] = {"assistants_conversations_waiting",
	"Those of them that may wait for a model.", .kind = GAUGE, .gauge = 1},
    [METRIC_RUNS] = {"assistants_runs_total", "Runs that are over, by how they ended.", {"status"},
	.kind = COUNTER},
    [METRIC_FIRST_WORD] = {"assistants_run_first_word_seconds",
	"Time from starting a run, or continuing it after tool outputs, to its first text.",
	.bounds = model_bounds, .kind = HISTOGRAM},
    [METRIC_RUN_DURATION] = {"assistants_run_duration_seconds",
	"Time from starting a run, or continuing it after tool outputs, to its end.",
	.bounds = model_bounds, .kind = HISTOGRAM},
    [METRIC_TOKENS] = {"assistants_tokens_total", "Tokens, as the model server counts them.",
	{"type"}, .kind = COUNTER},
    [METRIC_UPSTREAM_ERRORS] = {"assistants_upstream_errors_total",
	"Failed calls to another server, by what went wrong: a word, or the status.",
	{"upstream", "kind"}, .kind = COUNTER},
    [METRIC_WRITE_WAIT] = {"assistants_database_write_wait_seconds",
	"How long writing transactions waited for their turn.", .bounds = write_bounds,
	.kind = HISTOGRAM},
};

static const char *const kinds[] = {"counter", "gauge", "histogram"};

/* Set before threads start. */
static bool on;
static struct metrics_file *file; /* NULL: nothing is counted */

void
metrics_open(const char *folder)
{
	struct buf path = BUF_INIT(4096);

	on = true;
	errno = ENAMETOOLONG;
	if (buf_printf(&path, "%s/metrics", folder) == 0)
		file = metrics_file_open(path.data);
	if (!file)
		log_warn("nothing is counted, because %s/metrics cannot be used: %s", folder,
		    strerror(errno));
	buf_free(&path);
}

void
metrics_close(void)
{
	metrics_file_close(file);
	file = NULL;
	on = false;
}

bool
metrics_on(void)
{
	return on;
}

/* --- counting --- */

static void
put(struct series *series, const char *text)
{
	size_t len = strlen(text);

	if (series->len + len < SERIES_SIZE)
		memcpy(series->text + series->len, text, len);
	/* A name that was cut could be another's. */
	series->len += len;
}

static void
put_label(struct series *series, const char *name, const char *value)
{
	put(series, name);
	put(series, "=\"");
	put(series, value);
	put(series, "\"");
}

void
metrics_add(
    enum metric metric, long long amount, const char *first, const char *second, const char *third)
{
	const char *const values[LABELS_MAX] = {first, second, third};
	const struct family *family = &families[metric];
	struct series series;

	if (!file || amount <= 0)
		return;
	series = (struct series){0};
	put(&series, family->name);
	for (int i = 0; i < LABELS_MAX && family->labels[i]; i++) {
		put(&series, i ? "," : "{");
		put_label(&series, family->labels[i], values[i]);
	}
	put(&series, "}");
	metrics_file_add(file, &series, (uint64_t)amount);
}

long long
metrics_clock(void)
{
	struct timespec now;

	if (!file)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

static struct series
bucket_series(const struct family *family, const struct bound *bound)
{
	struct series series = {0};

	put(&series, family->name);
	put(&series, "_bucket{");
	put_label(&series, "le", bound->le);
	put(&series, "}");
	return series;
}

static struct series
sum_series(const struct family *family)
{
	struct series series = {0};

	put(&series, family->name);
	put(&series, "_sum");
	return series;
}

void
metrics_observe(enum metric metric, long long since_us)
{
	const struct family *family = &families[metric];
	const struct bound *bound = family->bounds;
	struct series bucket, sum;
	long long us;

	if (!file)
		return;
	us = metrics_clock() - since_us;
	while (us > bound->us)
		bound++;
	bucket = bucket_series(family, bound);
	sum = sum_series(family);
	/* Each bucket by itself; they are summed when printed, which is seldom. */
	metrics_file_add(file, &bucket, 1);
	metrics_file_add(file, &sum, (uint64_t)us);
}

void
metrics_change(enum metric metric, int by)
{
	if (file)
		metrics_file_change(file, families[metric].gauge, by);
}

/* --- Prometheus' text --- */

static void
print_head(struct buf *out, const char *name, const char *help, enum kind kind)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

static bool
is_of_family(const struct series *series, const struct family *family)
{
	size_t len = strlen(family->name);

	return strncmp(series->text, family->name, len) == 0 && series->text[len] == '{' &&
	    series->text[series->len - 1] == '}';
}

static void
print_counter(struct buf *out, const struct family *family)
{
	struct series series;
	uint64_t value;

	for (size_t at = 0; metrics_file_next(file, &at, &series, &value);)
		if (is_of_family(&series, family))
			buf_printf(out, "%s %" PRIu64 "\n", series.text, value);
}

static void
print_histogram(struct buf *out, const struct family *family)
{
	struct series sum = sum_series(family);
	uint64_t count = 0, sum_us = metrics_file_read(file, &sum);

	for (const struct bound *bound = family->bounds; bound->le; bound++) {
		struct series bucket = bucket_series(family, bound);

		count += metrics_file_read(file, &bucket);
		buf_printf(out, "%s %" PRIu64 "\n", bucket.text, count);
	}
	buf_printf(out, "%s %" PRIu64 ".%06" PRIu64 "\n%s_count %" PRIu64 "\n", sum.text,
	    sum_us / US_PER_S, sum_us % US_PER_S, family->name, count);
}

static void
print_family(struct buf *out, const struct family *family)
{
	print_head(out, family->name, family->help, family->kind);
	switch (family->kind) {
	case COUNTER:
		print_counter(out, family);
		return;
	case GAUGE:
		buf_printf(out, "%s %lld\n", family->name, metrics_file_gauge(file, family->gauge));
		return;
	case HISTOGRAM:
		print_histogram(out, family);
	}
}

int
metrics_print(struct buf *out)
{
	static const char dropped[] = "assistants_metrics_dropped_total";

	if (!file)
		return -1;
	for (int i = 0; i < METRIC__MAX; i++)
		print_family(out, &families[i]);
	print_head(out, dropped, "Counts that were dropped because there was no room.", COUNTER);
	buf_printf(out, "%s %" PRIu64 "\n", dropped, metrics_file_dropped(file));
	return out->failed ? -1 : 0;
}
