/* What pg_restore says on stderr, object by object. It runs with English words of its own; those of the server may be
 * in any language, so nothing here looks into them. */
#ifndef COFRE_POSTGRES_COMPLAINT_H
#define COFRE_POSTGRES_COMPLAINT_H

#include <stdbool.h>
#include <stdint.h>

struct complaint {
    char command[160]; /* the beginning of the statement that failed, or "" */
    char said[240];    /* what the server, or pg_restore, says of it; without hints for somebody else */
    bool data;         /* it was to bring rows, large objects or the value of a sequence */
};

struct complaints {
    uint64_t count;
    bool data;       /* one of them was about data */
    bool to_the_end; /* pg_restore says that it went on to the end */
    struct complaint first, last;
    bool open;                                                       /* the last may not be complete */
    void (*found)(void *context, const struct complaint *complaint); /* each, when it is complete; NULL = nobody asks */
    void *context;
};

/* The next line; context is the struct complaints. What the server only remarks while a connection is made is none. */
void complaint_line(void *context, const char *line);
/* There are no more. */
void complaint_end(struct complaints *complaints);

#endif
