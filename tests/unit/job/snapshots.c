#include "snapshots.h"

#include "job/commit.h"
#include "job/snapshot.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"

int snapshots_set_up(void **state)
{
    struct error e;
    struct snapshots *s = calloc(1, sizeof *s);
    void *trial;
    char text[512];
    assert_non_null(s);
    assert_int_equal(trial_set_up(&trial), 0);
    s->trial = trial;
    int n = snprintf(text, sizeof text, "[engine]\nhost = %s\nstate_dir = %s\ncache_dir = %s/cache\n", TRIAL_HOST,
                     s->trial->state, s->trial->directory);
    if (config_parse("test.conf", text, (size_t)n, true, &s->config, &e) < 0)
        fail_msg("%s", e.message);
    s->engine = (struct engine){.config = s->config};
    *state = s;
    return 0;
}

int snapshots_tear_down(void **state)
{
    struct snapshots *s = *state;
    void *trial = s->trial;
    config_free(s->config);
    free(s);
    return trial_tear_down(&trial);
}

void snapshots_key(const char *id, char key[201])
{
    manifest_object_key(TRIAL_HOST, SNAPSHOTS_JOB, id, key);
}

/* All packs that are there: more than it needs is no harm. */
static void put_needs(struct repository *repository, const struct manifest *manifest, const struct bytes *object)
{
    struct error e;
    struct trial_keys keys;
    struct needs needs = {0};
    trial_list(repository, "packs/", &keys);
    for (size_t i = 0; i < keys.count; i++) {
        struct pack_name name;
        assert_true(pack_name_parse_key(keys.keys[i], &name));
        assert_int_equal(needs_add(&needs, &name, &e), 0);
    }
    needs_sort(&needs);
    if (needs_put(repository, &needs, manifest, object, false, &e) < 0)
        fail_msg("needs: %s", e.message);
    needs_free(&needs);
}

static void commit(struct snapshots *s, struct repository *repository, const struct manifest *manifest)
{
    struct error e;
    char key[201];
    struct bytes object = {.maximum = MANIFEST_MAX};
    snapshots_key(manifest->id, key);
    if (manifest_object_seal(manifest, repository->key, &object, &e) < 0)
        fail_msg("seal: %s", e.message);
    put_needs(repository, manifest, &object);
    if (commit_manifest(repository->sink, key, &object, &e) < 0)
        fail_msg("commit: %s", e.message);
    seal_hash(object.data, object.length, s->hash);
    bytes_free(&object);
}

void snapshots_save(struct snapshots *s, struct repository *repository, const struct trial_file *files, size_t count,
                    char id[MANIFEST_ID_SIZE])
{
    static char job[] = SNAPSHOTS_JOB, host[] = TRIAL_HOST, version[] = "0.1.0", name[] = "files",
                plugin[] = "directory";
    struct manifest_source source;
    trial_save(s->trial, repository, files, count, &source);
    source.name = name;
    source.plugin = plugin;
    struct manifest manifest = {.job = job,
                                .host = host,
                                .version = version,
                                .started = INT64_C(1700000000000000000),
                                .ended = INT64_C(1700000001000000000),
                                .sequence = s->last.sequence + 1,
                                .sources = &source,
                                .source_count = 1};
    manifest_make_id(manifest.started, s->last.id, manifest.id);
    memcpy(manifest.previous_id, s->last.id, sizeof manifest.previous_id);
    memcpy(manifest.previous_hash, s->hash, sizeof manifest.previous_hash);
    commit(s, repository, &manifest);
    memcpy(id, manifest.id, sizeof manifest.id);
    s->last = manifest;
    s->last.sources = NULL;
    trial_free_source(&source);
}

struct manifest *snapshots_read(struct repository *repository, const char *id)
{
    struct error e;
    struct manifest *manifest = NULL;
    char key[201];
    snapshots_key(id, key);
    if (manifest_object_read(repository, key, &manifest, &e) < 0)
        fail_msg("%s", e.message);
    return manifest;
}
