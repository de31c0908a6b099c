/* Space: how full the place of a sink is, for who watches it. */
#ifndef COFRE_JOB_SPACE_H
#define COFRE_JOB_SPACE_H

#include <stdint.h>

struct config;
struct config_instance;
struct sink;

struct space {
    int64_t total, available; /* bytes; both 0 = nobody knows */
};

/* Ask the sink. Where its place cannot tell, and the section has a quota, that is the total, and what is used is
 * reckoned: what the newest record of this machine knew of it, a gc that counted all or a run, and what has been added
 * since, by this run. Before the first gc here nobody knows. What goes wrong says as much. */
struct space space_measure(const struct config *config, const struct config_instance *section, struct sink *sink,
                           uint64_t added);

#endif
