/* One entry of a tree, looked at and told to the host.
 *
 * What could not be read whole (content, attributes, the name of its owner) is named as a problem and gets no
 * fingerprint, so that the next run looks at it again. */
#ifndef COFRE_COMMON_VISIT_H
#define COFRE_COMMON_VISIT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/attribute.h"
#include "common/hardlink.h"
#include "common/look.h"
#include "common/remark.h"
#include "common/tree_read.h"
#include "cofre/plugin.h"

#define VISIT_ATTEMPTS 3 /* looks at an entry that keeps turning into another */

struct names;

/* What all visits of a run share. */
struct visits {
    struct cofre_call *call;
    const struct tree_read_options *options;
    struct tree_read_counts *counts;
    struct cofre_error *error; /* of the host's calls */
    struct cofre_error why;    /* of the entry at hand */
    bool counting;             /* announce nothing */
    uid_t user;
    struct look_rules rules;
    struct names *names; /* NULL: numbers only */
    struct hardlink_table hardlinks;
    bool hardlinks_full;
    struct attribute_set attributes;
    struct remark far, sockets; /* what is said once */
    char target[PATH_MAX + 1];
};

struct visit {
    struct look look;
    int dir;          /* it is in this directory */
    const char *name; /* last component */
    bool outside;     /* a directory that is entered only for what include names in it */
    bool last;        /* no more attempts */
    bool again;       /* it turned into something else between two calls: look anew */
};

/* All of these return what ends the run. */

/* A regular file with its content. */
int32_t visit_file(struct visits *w, struct visit *v);

/* A further name of a file. link is invalid afterwards. */
int32_t visit_hardlink(struct visits *w, struct visit *v, struct hardlink *link);

/* Symlinks, FIFOs, devices, sockets; and directories that are not entered. */
int32_t visit_special(struct visits *w, struct visit *v);

/* A directory that is open. result: how listing its names went, with the text in w->why. */
int32_t visit_open_directory(struct visits *w, struct visit *v, int fd, int32_t result);

/* The name could be looked at but not opened. Its metadata is kept, and what is wrong is said. */
int32_t visit_not_opened(struct visits *w, struct visit *v, int errnum);

/* Was the open file what the name showed? Else it is looked at anew; at last it is taken as it is, without fingerprint.
 */
bool visit_settles(struct visit *v, int fd);
/* It was not. */
int32_t visit_unsettled(struct visits *w, struct visit *v);

/* Name what is not announced, for the reason in w->why, or for an errno. */
int32_t visit_missing(struct visits *w, const struct look *look, int32_t class);
int32_t visit_missing_errno(struct visits *w, const struct look *look, int errnum, const char *what);

void visit_warn(struct visits *w, const struct look *look, const char *text, const char *cause);

/* Say what is said once. */
void visit_remarks(const struct visits *w);

#endif
