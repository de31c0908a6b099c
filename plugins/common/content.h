/* Content of a regular file, to the host. */
#ifndef COFRE_COMMON_CONTENT_H
#define COFRE_COMMON_CONTENT_H

#include <stdint.h>
#include <sys/stat.h>

#include "cofre/plugin.h"

/* Send the content of fd, whose state at the announcement was *st: as many bytes as its size said then, holes as holes.
 * A file that changes meanwhile is sent again, three times in all. Returns what the host's calls return (*error is
 * filled); *result is for end(): COFRE_OK, COFRE_E_CHANGED, or the class of a failed read, with its text in *why. */
int32_t content_send(struct cofre_call *call, int fd, const struct stat *st, int32_t *result, struct cofre_error *why,
                     struct cofre_error *error);

#endif
