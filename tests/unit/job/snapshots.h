/* Snapshots in repositories in memory, for verify and copy. */
#ifndef TESTS_UNIT_JOB_SNAPSHOTS_H
#define TESTS_UNIT_JOB_SNAPSHOTS_H

#include "../repository/trial.h"
#include "worker/engine.h"

#define SNAPSHOTS_JOB "nightly"

struct snapshots {
    struct trial *trial;
    struct config *config;
    struct engine engine;
    struct manifest last; /* the newest one: its place in the history */
    uint8_t hash[MANIFEST_HASH_SIZE];
};
int snapshots_set_up(void **state);
int snapshots_tear_down(void **state);

/* A run: the files of one source, "files", and a manifest that follows the last one. Its id to id. */
void snapshots_save(struct snapshots *s, struct repository *repository, const struct trial_file *files, size_t count,
                    char id[MANIFEST_ID_SIZE]);
/* What is in the sink of that snapshot; the caller frees. */
struct manifest *snapshots_read(struct repository *repository, const char *id);
void snapshots_key(const char *id, char key[201]);

#endif
