/* The data path on trial: repositories in memory, files that are made up, written by the recorder and compared when the
 * player gives them back. */
#ifndef TESTS_UNIT_REPOSITORY_TRIAL_H
#define TESTS_UNIT_REPOSITORY_TRIAL_H

#include "memory.h"

#include "base/bytes.h"
#include "repository/index.h"
#include "repository/recorder.h"
#include "repository/repository.h"
#include "repository/uploader.h"
#include "repository/writer.h"
#include "snapshot/manifest.h"

#define TRIAL_HOST "web1"
#define TRIAL_POOLS 32

struct trial {
    char directory[64], key_file[96], state[96], suffix[8];
    struct memory_pool pools[TRIAL_POOLS];
    char options[TRIAL_POOLS][160];
    size_t count; /* of pools, one for each repository opened */
};

/* For cmocka: a directory of its own, a key, and places that no other test has. */
int trial_set_up(void **state);
int trial_tear_down(void **state);

/* The repository in that place, made when there is none, with its index loaded, and nothing in its cache. options: more
 * of memory-sink's. */
struct repository *trial_open(struct trial *t, const char *place, unsigned parallel, const char *options);
/* With that key. */
struct repository *trial_open_with(struct trial *t, const char *place, const char *key_file, const char *options);
/* Nothing is opened: a key file more. */
void trial_make_key(const char *path);
/* The name of the place for memory_counts. */
const char *trial_place(const struct trial *t, const char *place);

/* ---- content ---- */

/* A file of pseudo-random bytes that follow from the seed; then a hole. */
struct trial_file {
    const char *path;
    uint32_t seed;
    size_t length, hole;
};
void trial_content(uint32_t seed, uint8_t *p, size_t n);

/* ---- writing ---- */

struct trial_run {
    struct uploader *uploader;
    struct writer *writer;
    struct recorder *recorder;
    struct manifest_source source;
};
int trial_begin(struct trial *t, struct repository **repositories, size_t count, struct trial_run *run,
                struct error *e);
int trial_add(struct trial_run *run, const struct trial_file *files, size_t count, struct error *e);
/* The catalogue, and a checkpoint. */
int trial_end(struct trial_run *run, struct error *e);
/* Also one that was not ended, as if it were killed there. The source stays. */
void trial_free(struct trial_run *run);
void trial_free_source(struct manifest_source *source);

/* All of it, which must work, into one repository. */
void trial_save(struct trial *t, struct repository *repository, const struct trial_file *files, size_t count,
                struct manifest_source *source);

/* ---- reading ---- */

struct trial_played {
    size_t entries, damaged;
    char damaged_path[64]; /* the last one */
    struct error why;
};
/* Play what is at and below path, and compare: each of the files, in order, whole or damaged. */
void trial_play(struct repository *repository, const struct manifest_source *source, const char *path, unsigned workers,
                const struct trial_file *files, size_t count, struct trial_played *played);

/* ---- objects ---- */

#define TRIAL_KEYS 32
struct trial_keys {
    char keys[TRIAL_KEYS][201];
    uint64_t sizes[TRIAL_KEYS];
    size_t count;
};
void trial_list(struct repository *repository, const char *prefix, struct trial_keys *keys);
void trial_get(struct repository *repository, const char *key, struct bytes *out);
/* Flip a bit of the byte at offset. */
void trial_flip(struct repository *repository, const char *key, uint64_t offset);
void trial_remove(struct repository *repository, const char *key);
/* The nth place of the first chunk of these bytes. */
struct index_location trial_locate(struct repository *repository, uint32_t seed, size_t length, unsigned nth);

#endif
