/* Small files of a snapshot that are made from what the daemon says, and sent in the order of their paths. */
#ifndef COFRE_DOCKER_VOLUME_SHEET_H
#define COFRE_DOCKER_VOLUME_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "common/docker/container.h"
#include "cofre/plugin.h"

#define SHEET_FILE_MAX (4u << 20) /* bytes of a compose file */

struct sheet {
    char *path; /* in the snapshot */
    char *text; /* its content; NULL: that of the file */
    char *file; /* of this machine */
};

struct sheets {
    struct sheet *items;
    size_t count;
};

/* text is taken over. */
int32_t sheets_add_text(struct sheets *sheets, const char *path, char *text, struct cofre_error *error);

/* The compose files that the container's labels name, and the `.env` beside each, each once. */
int32_t sheets_add_compose(struct sheets *sheets, struct cofre_call *call, const struct container *container,
                           struct cofre_error *error);

/* Announce and send all. A file that cannot be read is left out, by name. */
int32_t sheets_send(struct sheets *sheets, struct cofre_call *call, struct cofre_error *error);

void sheets_free(struct sheets *sheets);
#define SHEETS_AUTO __attribute__((cleanup(sheets_free))) struct sheets

#endif
