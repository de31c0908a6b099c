/* The backup: what describes the volumes, then each of them, in the order of their names. */
#ifndef COFRE_DOCKER_VOLUME_BACKUP_H
#define COFRE_DOCKER_VOLUME_BACKUP_H

#include "common/tree_read.h"
#include "docker-volume/survey.h"

int32_t backup_run(const struct source *source, struct cofre_call *call, struct cofre_error *error);

/* Count what a backup would read of the volumes whose files can be reached. *whole: that is all of them. */
int32_t backup_count(const struct source *source, struct cofre_call *call, bool facts, struct tree_read_counts *counts,
                     bool *whole, struct cofre_error *error);

/* How the files of a volume are read; root: its directory. Borrowed from the arguments. */
struct tree_read_options backup_reading(const struct source *source, const struct survey *survey,
                                        const struct volume *volume, int root, const char *container);

/* The running container that writes to the volume, as a section would name it; NULL = none. */
#define BACKUP_WRITER_MAX 300
const char *backup_writer(const struct survey *survey, const struct volume *volume, char out[BACKUP_WRITER_MAX]);

#endif
