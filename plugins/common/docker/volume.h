/* Volumes, as the daemon describes them. */
#ifndef COFRE_DOCKER_VOLUME_H
#define COFRE_DOCKER_VOLUME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "cofre/plugin.h"

#define VOLUME_NAME_MAX 255

/* Text is borrowed from `json`, and never NULL. */
struct volume {
    json_t *json;
    const char *name, *driver;
    const char *mountpoint; /* on the daemon's machine; "" = the driver does not say */
    const char *project;    /* of compose; "" = none */
    bool plain;             /* driver local, without options: its files are at mountpoint, whoever uses it */
};

struct volumes {
    struct volume *items;
    size_t count;
};

/* All there are, sorted by name, bytewise. Names that are none (a '/', a leading '.', too long) are refused:
 * COFRE_E_PERMANENT, since paths are made of them. */
int32_t volumes_list(struct daemon *daemon, struct cofre_call *call, struct volumes *volumes,
                     struct cofre_error *error);
void volumes_free(struct volumes *volumes);
#define VOLUMES_AUTO __attribute__((cleanup(volumes_free))) struct volumes

/* COFRE_E_NOT_FOUND. */
int32_t volume_look(struct daemon *daemon, struct cofre_call *call, const char *name, struct volume *volume,
                    struct cofre_error *error);
void volume_free(struct volume *volume);
#define VOLUME_AUTO __attribute__((cleanup(volume_free))) struct volume

/* Is this a name that a volume may have? */
bool volume_is_name(const char *name);

/* description: Driver, Options (or DriverOpts) and Labels, as inspect shows them; other members are left alone. One
 * that is there already is COFRE_E_EXISTS. */
int32_t volume_make(struct daemon *daemon, struct cofre_call *call, const char *name, const json_t *description,
                    struct volume *volume, struct cofre_error *error);
/* Absent is fine. */
int32_t volume_remove(struct daemon *daemon, struct cofre_call *call, const char *name, struct cofre_error *error);

/* Its data is a directory of this machine that is what a container sees in it: a plain volume of a local daemon, whose
 * mountpoint is there, and is the volume's (the daemon may be in another mount namespace: it is asked of the process
 * that listens on its socket, which must be to be seen from here). COFRE_E_UNSUPPORTED: it is reached through the API
 * alone. fd: open, the caller's. */
int32_t volume_open(const struct daemon *daemon, const struct volume *volume, int *fd, struct cofre_error *error);

#endif
