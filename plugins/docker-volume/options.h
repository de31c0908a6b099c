/* The options of a source, as the host fills them in. NULL, 0 and an empty list: not set. */
#ifndef COFRE_DOCKER_VOLUME_OPTIONS_H
#define COFRE_DOCKER_VOLUME_OPTIONS_H

#include <stdint.h>

#include "cofre/plugin.h"

enum options_during { OPTIONS_RUN, OPTIONS_PAUSE, OPTIONS_STOP };
enum options_living { OPTIONS_LIVING_INCOMPLETE, OPTIONS_LIVING_ACCEPT };

struct options {
    /* what is saved */
    struct cofre_list volumes, exclude, exclude_paths;
    const char *project;
    int32_t compose_files;
    /* the daemon */
    const char *docker, *docker_tls;
    /* how it is read */
    int32_t during;                    /* enum options_during */
    int64_t stop_timeout, health_wait; /* ms; stop_timeout 0 = the container's own */
    int32_t live_database;             /* enum options_living */
    int32_t one_file_system, numeric_owner;
    /* restore */
    const char *volume;
    int32_t overwrite, exact, devices, setuid, force;
};

#endif
