/* The process of a worker, from inside: what it may not do, and that it ends with the engine.
 *
 *   confine.c         limits, and its end
 *   confine_rights.c  capabilities
 *   confine_calls.c   system calls (seccomp)
 *   confine_paths.c   files (Landlock): the rules
 *   confine_sink.c    files: which of them a sink may reach
 *
 * Rights, calls and files are those of a thread and of what it starts: they are taken away while there is one thread,
 * and before any code of the plugin runs. What the kernel does not know is left out, and no error.
 */
#ifndef COFRE_HOST_CONFINE_H
#define COFRE_HOST_CONFINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

struct error;
struct plugin_info;

/* What a worker may allocate (RLIMIT_DATA, for each of its processes; not in builds with sanitizers): a plugin that
 * allocates without bound meets a failed malloc and fails its call, instead of taking the machine with it. */
#define CONFINE_MEMORY_MAX (UINT64_C(1) << 30)

/* Limits, no core file. */
void confine_process(void);
/* End the group when the engine is gone, even while the plugin hangs. */
int confine_watch(struct error *e);
/* The engine is gone: end, with all that the plugin has started. */
void confine_end_group(void);

/* Whose rights and calls are left: enum plugin_role. */
#define CONFINE_DESCRIBES 0 /* of no role: it says what it is, and nothing else */
#define CONFINE_MONITOR 4   /* host/monitor.h */

/* Drop the capabilities that the role does not need, for good. */
int confine_rights(int role, struct error *e);
/* Refuse the system calls that no plugin needs (EPERM). */
int confine_calls(int role, struct error *e);
/* Refuse every socket that is not of this machine (EPERM), to all threads. */
int confine_network(struct error *e);

/* ---- files ---- */

enum confine_access {
    CONFINE_READ,
    CONFINE_EXECUTE, /* and read */
    CONFINE_WRITE,   /* and read, make, remove; nothing there can be executed */
    CONFINE_MAKE     /* directories in it, and list it */
};

struct confine_paths {
    int ruleset; /* -1 = the kernel has none, and everything below does nothing */
    uint64_t handled;
};

/* Begin with nothing but what every program needs of the system, to be read. */
int confine_paths_begin(struct confine_paths *paths, struct error *e);
/* What is not there is passed over; with CONFINE_MAKE the nearest directory that is there is meant. */
int confine_paths_allow(struct confine_paths *paths, const char *path, enum confine_access access, struct error *e);
/* Nothing else can be reached from here on; neither can other processes (signals, abstract sockets). Also ends what
 * confine_paths_begin has begun when it fails. */
int confine_paths_end(struct confine_paths *paths, struct error *e);
void confine_paths_free(struct confine_paths *paths);

/* What a sink needs beside the system. */
struct confine_places {
    const struct plugin_info *plugin; /* NULL = it describes itself, and needs none */
    struct cursor values;             /* of its options, as they are on the wire */
    char *const *plugin_dirs;
    size_t plugin_dir_count;
    char *const *secluded; /* never for what the plugin asks for by itself: keys, configuration, state, cache */
    size_t secluded_count;
};
/* Rights, calls and files of a sink, or, without a plugin, of CONFINE_DESCRIBES. The environment must be as the plugin
 * is going to see it. */
int confine_sink(const struct confine_places *places, struct error *e);

#endif
