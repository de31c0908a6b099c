/* A pipe: bytes from one thread to another through memory of a fixed size.
 *
 * One writer, one reader. Each waits for the other; either may fail it, and then every call of both returns that error.
 */
#ifndef COFRE_FLOW_PIPE_H
#define COFRE_FLOW_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct pipe;

struct pipe_spec {
    size_t size;
    bool (*cancelled)(void); /* asked while waiting: then ERROR_CANCELLED; NULL = never */
};
int pipe_new(const struct pipe_spec *spec, struct pipe **pipe, struct error *e);
/* When no thread uses it any more. NULL is fine. */
void pipe_free(struct pipe *pipe);

/* All n bytes. patience: ms without any room, then ERROR_TIMEOUT; 0 = wait for ever. */
int pipe_write(struct pipe *pipe, const void *p, size_t n, int64_t patience, struct error *e);
/* No more bytes. */
void pipe_end(struct pipe *pipe);

/* At least one and at most n bytes; *got = 0: the end. patience as above, without any byte. */
int pipe_read(struct pipe *pipe, void *p, size_t n, size_t *got, int64_t patience, struct error *e);

/* The first failure counts; one after the end and all bytes were read is forgotten. */
void pipe_fail(struct pipe *pipe, const struct error *why);

#endif
