/*
 * multipart/form-data (RFC 7578; RFC 2046, 5.1), read part by part. A part's data is never in
 * memory as a whole, and never copied.
 *
 * Bounded: MULTIPART_PARTS_MAX parts, MULTIPART_HEAD_MAX bytes of headers each, a boundary of
 * MULTIPART_BOUNDARY_MAX. Parts inside parts are not read: their bytes are data.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046, 5.1.1 */
	MULTIPART_HEAD_MAX = 8192,
	MULTIPART_PARTS_MAX = 64
};

/* Reads up to `size` bytes of the body, as soon as there are any. 0: its end. -1: failed. */
typedef ssize_t multipart_read_fn(void *arg, void *bytes, size_t size);

enum multipart_result {
	MULTIPART_PART,
	MULTIPART_END,    /* there are no more parts */
	MULTIPART_BAD,    /* multipart_problem() says why */
	MULTIPART_FAILED, /* the body cannot be read */
};

/* A part's name and file name in UTF-8, valid until the next part. */
struct multipart_part {
	const char *name;
	const char *filename; /* NULL: it is no file */
};

struct multipart;

/*
 * Begins to read a body of this Content-Type. NULL: out of memory, or the type is not
 * multipart/form-data with a boundary; then *problem is one sentence, else NULL.
 */
struct multipart *multipart_new(
    const char *content_type, multipart_read_fn *read, void *arg, const char **problem);
void multipart_free(struct multipart *multipart);

/* Finds the next part; what was not read of the one before is skipped. */
enum multipart_result multipart_next(struct multipart *multipart, struct multipart_part *part);

/*
 * The next piece of the part's data, valid until the next call. MULTIPART_PART: *len bytes, not 0.
 * MULTIPART_END: the part has no more.
 */
enum multipart_result multipart_data(struct multipart *multipart, const char **data, size_t *len);

/* What is wrong with the body, one sentence. */
const char *multipart_problem(const struct multipart *multipart);

#endif
