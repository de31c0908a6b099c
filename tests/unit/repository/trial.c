#include "trial.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "format/audience.h"
#include "repository/chunker.h"
#include "repository/key.h"
#include "repository/player.h"
#include "repository/reader.h"
#include "repository/seal.h"
#include "snapshot/record.h"

#define PIECE 100000u

int trial_set_up(void **state)
{
    struct error e;
    struct trial *t = calloc(1, sizeof *t);
    assert_non_null(t);
    strcpy(t->directory, "/tmp/cofre-trial.XXXXXX");
    assert_non_null(mkdtemp(t->directory));
    strcpy(t->suffix, strrchr(t->directory, '.') + 1);
    snprintf(t->key_file, sizeof t->key_file, "%s/full.key", t->directory);
    snprintf(t->state, sizeof t->state, "%s/state", t->directory);
    assert_int_equal(seal_init(&e), 0);
    assert_int_equal(mkdir(t->state, 0700), 0);
    trial_make_key(t->key_file);
    *state = t;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

int trial_tear_down(void **state)
{
    struct trial *t = *state;
    nftw(t->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(t);
    return 0;
}

void trial_make_key(const char *path)
{
    struct error e;
    struct key *key = NULL;
    if (key_create(&key, &e) < 0 || key_save(key, path, &e) < 0)
        fail_msg("%s", e.message);
    key_free(key);
}

const char *trial_place(const struct trial *t, const char *place)
{
    static char name[64];
    snprintf(name, sizeof name, "%s-%s", t->suffix, place);
    return name;
}

static void make(struct sink *sink, const char *key_file)
{
    struct error e;
    struct key *key = NULL;
    char id[2 * REPOSITORY_ID_SIZE + 1];
    bool existed;
    uint64_t size;
    if (sink_stat(sink, "config", &size, &e) == 0)
        return;
    if (key_load(key_file, &key, &e) < 0 || repository_create(sink, key, false, id, &existed, &e) < 0)
        fail_msg("make a repository: %s", e.message);
    key_free(key);
}

static struct repository *open_pool(struct trial *t, const char *place, const char *key_file, unsigned parallel,
                                    const char *options)
{
    struct error e;
    struct repository *repository = NULL;
    char cache[96];
    assert_true(t->count < TRIAL_POOLS);
    struct memory_pool *pool = &t->pools[t->count];
    char *text = t->options[t->count];
    snprintf(text, sizeof t->options[0], "place=%s;%s", trial_place(t, place), options);
    snprintf(cache, sizeof cache, "%s/cache%zu", t->directory, t->count++);
    *pool = (struct memory_pool){.options = text, .parallel = parallel};
    struct sink *sink = memory_sink(pool);
    make(sink, key_file);
    const struct repository_spec spec = {
        .host = TRIAL_HOST, .key_file = key_file, .cache_dir = cache, .state_dir = t->state};
    if (repository_open(sink, &spec, &repository, &e) < 0 || repository_load_index(repository, REPOSITORY_ALL, &e) < 0)
        fail_msg("open a repository: %s", e.message);
    return repository;
}

struct repository *trial_open(struct trial *t, const char *place, unsigned parallel, const char *options)
{
    return open_pool(t, place, t->key_file, parallel, options);
}

struct repository *trial_open_with(struct trial *t, const char *place, const char *key_file, const char *options)
{
    return open_pool(t, place, key_file, 1, options);
}

/* ---- content ---- */

void trial_content(uint32_t seed, uint8_t *p, size_t n)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t at = 0, piece; at < n; at += piece) {
        piece = n - at < sizeof x ? n - at : sizeof x;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + at, &x, piece);
    }
}

/* ---- writing ---- */

int trial_begin(struct trial *t, struct repository **repositories, size_t count, struct trial_run *run, struct error *e)
{
    char path[112];
    static const uint8_t fingerprints[16] = {1, 2, 3};
    *run = (struct trial_run){.uploader = NULL};
    snprintf(path, sizeof path, "%s/catalogue", t->directory);
    if (uploader_new(repositories, count, t->state, &run->uploader, e) < 0)
        return -1;
    const struct writer_spec spec = {.uploader = run->uploader, .workers = 2};
    if (writer_new(&spec, &run->writer, e) < 0)
        return -1;
    return recorder_new(run->writer, path, fingerprints, &run->recorder, e);
}

static int add_file(struct trial_run *run, const struct trial_file *file, const uint8_t *content, struct error *e)
{
    const struct snapshot_entry entry = {.kind = COFRE_FILE,
                                         .path = file->path,
                                         .path_length = strlen(file->path),
                                         .size = (int64_t)(file->length + file->hole),
                                         .mode = 0640};
    if (recorder_entry(run->recorder, &entry, e) < 0)
        return -1;
    for (size_t at = 0, n; at < file->length; at += n) {
        n = file->length - at < PIECE ? file->length - at : PIECE;
        if (recorder_data(run->recorder, content + at, n, e) < 0)
            return -1;
    }
    if (file->hole > 0 && recorder_hole(run->recorder, file->hole, e) < 0)
        return -1;
    return recorder_end(run->recorder, RECORD_WHOLE, NULL, e);
}

int trial_add(struct trial_run *run, const struct trial_file *files, size_t count, struct error *e)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        uint8_t *content = malloc(files[i].length + 1);
        assert_non_null(content);
        trial_content(files[i].seed, content, files[i].length);
        result = add_file(run, &files[i], content, e);
        free(content);
    }
    return result;
}

int trial_end(struct trial_run *run, struct error *e)
{
    return recorder_finish(run->recorder, &run->source, e) < 0 ? -1 : writer_checkpoint(run->writer, e);
}

void trial_free(struct trial_run *run)
{
    recorder_free(run->recorder);
    writer_free(run->writer);
    uploader_free(run->uploader);
}

void trial_free_source(struct manifest_source *source)
{
    for (size_t i = 0; i < source->chunk_count; i++)
        free(source->chunks[i].first_path);
    free(source->chunks);
    *source = (struct manifest_source){.chunks = NULL};
}

void trial_save(struct trial *t, struct repository *repository, const struct trial_file *files, size_t count,
                struct manifest_source *source)
{
    struct error e;
    struct trial_run run;
    if (trial_begin(t, &repository, 1, &run, &e) < 0 || trial_add(&run, files, count, &e) < 0 ||
        trial_end(&run, &e) < 0)
        fail_msg("save: %s", e.message);
    *source = run.source;
    trial_free(&run);
}

/* ---- reading ---- */

/* Compares in the threads of the player, where nothing may be asserted. */
struct comparison {
    const struct trial_file *files, *file;
    size_t count, next; /* the file that may come next */
    uint8_t *content;
    uint64_t at;
    struct trial_played *played;
};

static int on_entry(void *context, const struct record *record, struct error *e)
{
    struct comparison *c = context;
    while (c->next < c->count && strcmp(c->files[c->next].path, record->entry.path) != 0)
        c->next++;
    if (c->next == c->count)
        return error_set(e, ERROR_BUG, "'%s' is none of the files, or out of order", record->entry.path);
    c->file = &c->files[c->next++];
    if (record->entry.size != (int64_t)(c->file->length + c->file->hole) || record->entry.mode != 0640)
        return error_set(e, ERROR_BUG, "'%s' has another size or mode", record->entry.path);
    free(c->content);
    c->content = malloc(c->file->length + 1);
    trial_content(c->file->seed, c->content, c->file->length);
    c->at = 0;
    c->played->entries++;
    return 0;
}

static int on_data(void *context, const void *p, size_t n, struct error *e)
{
    struct comparison *c = context;
    if (n > c->file->length - c->at || memcmp(p, c->content + c->at, n) != 0)
        return error_set(e, ERROR_BUG, "'%s' has other content at %llu", c->file->path, (unsigned long long)c->at);
    c->at += n;
    return 0;
}

static int on_hole(void *context, uint64_t n, struct error *e)
{
    struct comparison *c = context;
    if (c->at != c->file->length || n != c->file->hole)
        return error_set(e, ERROR_BUG, "'%s' has another hole", c->file->path);
    c->at += n;
    return 0;
}

static int on_end(void *context, struct error *e)
{
    struct comparison *c = context;
    if (c->at != c->file->length + c->file->hole)
        return error_set(e, ERROR_BUG, "'%s' ends at %llu", c->file->path, (unsigned long long)c->at);
    return 0;
}

static int on_damaged(void *context, const struct error *why, struct error *e)
{
    struct comparison *c = context;
    (void)e;
    c->played->damaged++;
    c->played->why = *why;
    snprintf(c->played->damaged_path, sizeof c->played->damaged_path, "%s", c->file->path);
    return 0;
}

static int feed(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    return player_record(context, record, bytes, n, e);
}

void trial_play(struct repository *repository, const struct manifest_source *source, const char *path, unsigned workers,
                const struct trial_file *files, size_t count, struct trial_played *played)
{
    struct error e;
    struct reader *catalogue = NULL, *reader = NULL;
    struct player *player = NULL;
    *played = (struct trial_played){.entries = 0};
    struct comparison c = {.files = files, .count = count, .played = played};
    const struct audience audience = {
        .entry = on_entry, .data = on_data, .hole = on_hole, .end = on_end, .damaged = on_damaged, .context = &c};
    if (reader_new(repository, &catalogue, &e) < 0 || reader_new(repository, &reader, &e) < 0 ||
        player_new(repository, reader, workers, &audience, &player, &e) < 0 ||
        reader_catalogue(catalogue, source, path, feed, player, &e) < 0 || player_finish(player, &e) < 0)
        fail_msg("play: %s", e.message);
    player_free(player);
    reader_free(reader);
    reader_free(catalogue);
    free(c.content);
}

/* ---- objects ---- */

static int on_object(void *context, const struct sink_object *object, struct error *e)
{
    struct trial_keys *keys = context;
    if (keys->count == TRIAL_KEYS)
        return error_set(e, ERROR_RANGE, "more than %d objects", TRIAL_KEYS);
    keys->sizes[keys->count] = object->size;
    snprintf(keys->keys[keys->count++], sizeof keys->keys[0], "%s", object->key);
    return 0;
}

void trial_list(struct repository *repository, const char *prefix, struct trial_keys *keys)
{
    struct error e;
    keys->count = 0;
    if (sink_list(repository->sink, prefix, on_object, keys, &e) < 0)
        fail_msg("list: %s", e.message);
}

void trial_get(struct repository *repository, const char *key, struct bytes *out)
{
    struct error e;
    out->maximum = 64u << 20;
    bytes_reset(out);
    if (sink_get(repository->sink, key, out->maximum, out, &e) < 0)
        fail_msg("%s", e.message);
}

void trial_flip(struct repository *repository, const char *key, uint64_t offset)
{
    struct error e;
    struct bytes object = {.maximum = 0};
    trial_get(repository, key, &object);
    assert_true(offset < object.length);
    object.data[offset] ^= 4;
    if (sink_put(repository->sink, key, object.data, object.length, false, &e) < 0 ||
        sink_sync(repository->sink, &e) < 0)
        fail_msg("%s", e.message);
    bytes_free(&object);
}

void trial_remove(struct repository *repository, const char *key)
{
    struct error e;
    if (sink_remove(repository->sink, key, &e) < 0 || sink_sync(repository->sink, &e) < 0)
        fail_msg("%s", e.message);
}

struct index_location trial_locate(struct repository *repository, uint32_t seed, size_t length, unsigned nth)
{
    static struct chunker_table table;
    struct chunker chunker = {.hash = 0};
    struct index_location location;
    uint8_t id[SEAL_HASH_SIZE], *content = malloc(length);
    bool cut;
    assert_non_null(content);
    trial_content(seed, content, length);
    chunker_table_init(&table, repository->key->chunker_seed);
    size_t n = chunker_feed(&chunker, &table, content, length, &cut);
    seal_chunk_id(repository->key, content, n, id);
    free(content);
    if (!index_find(repository->index, id, INDEX_READ, nth, &location))
        fail_msg("chunk of seed %u has no place %u", seed, nth);
    return location;
}
