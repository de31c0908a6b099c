/* Problems: what is not as it should be, in words, of the machine, a host, a job, a sink. */
#ifndef COFRE_OPERATION_PROBLEM_H
#define COFRE_OPERATION_PROBLEM_H

#include <stddef.h>

struct error;

/* From the best to the worst. */
enum problem_level {
    PROBLEM_NONE,
    PROBLEM_UNKNOWN, /* records that cannot be read, or are not there; a sink that cannot be looked at */
    PROBLEM_WARNING,
    PROBLEM_DAMAGED, /* the last verification found damage */
    PROBLEM_STALE    /* older than max_age */
};

/* Whose problem it is: names, lent, which outlive the list; NULL = no host, job or sink in particular. None at all: of
 * this machine. */
struct problem_subject {
    const char *host, *job, *sink;
};

struct problem {
    enum problem_level level;
    struct problem_subject of;
    size_t number; /* in the order in which they were added */
    char text[1536];
};

struct problem_list {
    struct problem *items;
    size_t count;
    enum problem_level level; /* of the worst */
};

/* What is too long of the text is cut off. */
int problem_add(struct problem_list *list, enum problem_level level, struct problem_subject of, struct error *e,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The worst first; of those that are alike, as they were added. */
void problem_sort(struct problem_list *list);
/* Of those that concern that subject: they name no other host, job or sink. PROBLEM_NONE: there are none. */
enum problem_level problem_worst(const struct problem_list *list, struct problem_subject of);
void problem_free(struct problem_list *list);

#endif
