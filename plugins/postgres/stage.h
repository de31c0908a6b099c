/* A dump on its way back, in a private file: pg_restore reads it at several places at once. */
#ifndef COFRE_POSTGRES_STAGE_H
#define COFRE_POSTGRES_STAGE_H

#include <stdint.h>

#include "postgres/archive.h"

struct stage {
    int fd;                  /* of a file without a name, 0600: it goes with us, whatever happens. -1 = none */
    char path[40];           /* under which a program that inherits fd opens it */
    struct archive *archive; /* what is in it */
};
#define STAGE_NONE                                                                                                     \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* Take the content of the entry at hand, in directory (NULL: the host's, or /var/tmp). COFRE_OK: it is there, and
 * whole. After failure and success: stage_free. */
int32_t stage_fill(struct stage *stage, struct cofre_call *call, const char *directory, struct cofre_error *error);
void stage_free(struct stage *stage);

#endif
