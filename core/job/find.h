/* find: in which snapshots a file is, and what became of it. */
#ifndef COFRE_JOB_FIND_H
#define COFRE_JOB_FIND_H

#include <stdbool.h>
#include <stddef.h>

struct config_instance;
struct engine;
struct entries_item;
struct error;
struct manifest;

/* A shell pattern (* ? [a-z]). Without a slash it is that of a name, in any directory. With one it is that of a path,
 * or of the end of one; * stands for no slash. One that begins with a slash begins at the source's root. */
bool find_matches(const char *pattern, const char *path, size_t length);

/* A version of an entry, in the newest snapshot that has it. -1 ends it. */
typedef int find_told(void *context, const struct manifest *manifest, const char *source,
                      const struct entries_item *item, struct error *e);

struct find_request {
    const char *pattern;
    const char *job;                    /* NULL = each that is configured */
    const struct config_instance *sink; /* NULL = those of the job */
};

/* Of this host, the newest snapshot first; in a snapshot by source and path. An entry that is in the next older one,
 * too, as it was, is not told again. What cannot be read or reached is a warning, and counted: *unreachable sinks,
 * *unread snapshots and sources. */
int find_run(const struct engine *engine, const struct find_request *request, find_told *told, void *context,
             size_t *unreachable, size_t *unread, struct error *e);

#endif
