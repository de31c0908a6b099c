/* What entries lose of their metadata while their content is whole: told by kind, with a count and the first of each,
 * since on a share that knows no owners it is every entry. */
#ifndef COFRE_COMMON_LOSSES_H
#define COFRE_COMMON_LOSSES_H

#include <stddef.h>
#include <stdint.h>

#include "common/remark.h"
#include "cofre/plugin.h"

enum loss { LOSS_OWNER, LOSS_MODE, LOSS_TIME, LOSS_ATTRIBUTE, LOSS_ACL, LOSS_SETUID, LOSS_LINK, LOSSES };

#define LOSSES_TEXT_MAX 240
#define LOSSES_NAMES 8 /* of attributes that are kept back: the last stands for all others */
#define LOSSES_NAME_MAX 80

/* Of one entry. With kinds = 0 and kept_back = 0 it is empty. */
struct losses {
    unsigned kinds;                      /* bits: 1 << LOSS_* */
    char texts[LOSSES][LOSSES_TEXT_MAX]; /* of these kinds: the first reason */
    unsigned kept_back;
    char names[LOSSES_NAMES][LOSSES_NAME_MAX];
};

void losses_clear(struct losses *losses);

/* One more, for the reason in the text, followed by that of the system call when errnum is set. */
void losses_add(struct losses *losses, enum loss kind, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* An attribute that only setuid = yes puts back: said once for each name. */
void losses_keep_back(struct losses *losses, const char *attribute);

/* COFRE_OK, or COFRE_PARTLY when there are any. */
int32_t losses_result(const struct losses *losses);

/* Of all entries. Zeroed is empty. */
struct losses_tally {
    struct remark remarks[LOSSES];
    char texts[LOSSES][LOSSES_TEXT_MAX];
    unsigned name_count;
    char names[LOSSES_NAMES][LOSSES_NAME_MAX];
    struct remark kept_back[LOSSES_NAMES];
};

void losses_count(struct losses_tally *tally, const struct losses *losses, const char *path, size_t length);

/* A line for each kind, and for each name of an attribute that was kept back. */
void losses_say(const struct losses_tally *tally, struct cofre_call *call);

#endif
