/* Writes a small repository with the codecs alone, so that the reference decoder can be compared with them without an
 * engine: sample DIRECTORY [none]. DIRECTORY/repository is the repository, DIRECTORY/full.key the key. test_decoder.py
 * knows the content. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "repository/catalogue.h"
#include "repository/chunker.h"
#include "repository/config_object.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/pack.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

#define LARGE (3u << 20)
#define HOLE (5u << 20)
#define MANY 9000
#define ID "20261120T020000Z-ab12cd"
#define TIME INT64_C(1700000000123456789)

static struct error e;
static char root[512];
static struct key *full, *put;
#define HOST "web1"

static struct pack *pack;
static struct pack_compressor *compressor;
static struct bytes index_body = {.maximum = 1 << 20};
static uint32_t packs;

/* Whatever fails ends the program with its reason. */
static void must(int result)
{
    if (result == 0)
        return;
    fprintf(stderr, "sample: %s\n", e.message);
    exit(1);
}

static void store(const char *key, const void *p, size_t n)
{
    char path[1024], directory[1024];
    snprintf(path, sizeof path, "%s/repository/%s", root, key);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    must(file_make_directories(directory, &e));
    must(file_write(path, p, n, FILE_NEW, &e));
}

static void store_pack(void)
{
    char hex[65], key[128];
    must(pack_finish(pack, &e));
    text_hex(pack->name, sizeof pack->name, hex);
    snprintf(key, sizeof key, "packs/" HOST "/%.2s/%s", hex, hex);
    store(key, pack->data, pack->length);
    index_body_add_pack(&index_body, pack->name, pack->length, pack->chunks, pack->count);
    packs++;
    pack_begin(pack);
}

static void store_chunk(const void *p, size_t n, uint8_t id[SEAL_HASH_SIZE])
{
    size_t capacity = pack_compress_bound(n), length = 0;
    uint8_t *compressed = malloc(capacity);
    must(compressed ? pack_compress(compressor, p, n, compressed, capacity, &length, &e) : error_memory(&e));
    seal_chunk_id(put, p, n, id);
    must(pack_add(pack, id, (uint32_t)n, compressed, length, &e));
    free(compressed);
}

/* ---- sources ---- */

struct source {
    struct bytes records;
    struct manifest_source manifest;
};

static struct record record_of(uint32_t kind, const char *path, uint32_t mode)
{
    struct record record = {0};
    record.entry.kind = kind;
    record.entry.path = path;
    record.entry.path_length = strlen(path);
    record.entry.mode = mode;
    record.entry.mtime = TIME;
    return record;
}

static void add(struct source *source, const struct record *record)
{
    must(catalogue_encode(record, &source->records, &e));
    source->manifest.entries += !record->continuation;
    for (size_t i = 0; i < record->extent_count; i++)
        source->manifest.bytes += record->extents[i].length;
}

static void add_plain(struct source *source, uint32_t kind, const char *path, uint32_t mode, const char *link)
{
    struct record record = record_of(kind, path, mode);
    record.entry.link = link;
    record.entry.link_length = link ? strlen(link) : 0;
    record.entry.device_major = 1;
    record.entry.device_minor = 3;
    add(source, &record);
}

static void add_content(struct source *source, struct record record, const struct catalogue_extent *extents,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        record.entry.size += (int64_t)extents[i].length;
    record.extents = extents;
    record.extent_count = count;
    add(source, &record);
}

/* 3 MiB and a byte, a hole, 3 bytes; the second half of it in a continuation. */
static void add_large(struct source *source)
{
    uint8_t *content = malloc(LARGE);
    must(content ? 0 : error_memory(&e));
    for (uint32_t i = 0; i < LARGE; i++)
        content[i] = (uint8_t)((i * 2654435761u) >> 24);
    struct catalogue_extent extents[5] = {{.length = 1u << 20},
                                          {.length = 2u << 20},
                                          {.offset = 7, .length = 1},
                                          {.length = HOLE},
                                          {.offset = 1, .length = 3}};
    store_chunk(content, 1u << 20, extents[0].id);
    store_pack();
    store_chunk(content + (1u << 20), 2u << 20, extents[1].id);
    memcpy(extents[2].id, extents[0].id, SEAL_HASH_SIZE);
    memcpy(extents[4].id, extents[0].id, SEAL_HASH_SIZE);
    struct record record = record_of(COFRE_FILE, "large", 0600);
    record.entry.size = LARGE + 1 + HOLE + 3;
    record.more = true;
    record.extents = extents;
    record.extent_count = 2;
    add(source, &record);
    struct record rest = {.continuation = true, .extents = extents + 2, .extent_count = 3};
    add(source, &rest);
    free(content);
}

static void add_files(struct source *source)
{
    struct snapshot_attribute attribute = {"user.note", "v\0\xff", 3};
    struct catalogue_extent extent = {.offset = 6, .length = 6};
    struct record file = record_of(COFRE_FILE, "dir/file", 04751);
    store_chunk("world\nhello\n", 12, extent.id);
    add_plain(source, COFRE_DIRECTORY, "", 0755, NULL);
    add_plain(source, COFRE_DIRECTORY, "dir", 0750, NULL);
    file.entry.uid = 1234;
    file.entry.gid = 5678;
    file.entry.user = "somebody";
    file.entry.attributes = &attribute;
    file.entry.attribute_count = 1;
    file.entry.has_fingerprint = 1;
    add_content(source, file, &extent, 1);
    add_plain(source, COFRE_HARDLINK, "dir/hard", 0, "dir/file");
    add_plain(source, COFRE_FILE, "dir.empty", 0, NULL);
    add_plain(source, COFRE_FIFO, "fifo", 0620, NULL);
    add_large(source);
    add_plain(source, COFRE_SYMLINK, "link", 0777, "../\xff nowhere");
    add_plain(source, COFRE_CHARACTER, "null", 0666, NULL);
    add_plain(source, COFRE_SOCKET, "socket", 0777, NULL);
    struct record unreadable = record_of(COFRE_FILE, "unreadable", 0600);
    unreadable.status = RECORD_UNREADABLE;
    unreadable.error = "permission denied";
    unreadable.entry.size = 99;
    add(source, &unreadable);
    /* Enough to make the catalogue several chunks. */
    for (unsigned i = 0; i < MANY; i++) {
        char path[300];
        snprintf(path, sizeof path, "\xff/%05u-%0240u", i, i);
        add_plain(source, COFRE_FIFO, path, 0600, NULL);
    }
    extent = (struct catalogue_extent){.offset = 0, .length = 6};
    store_chunk("world\n", 6, extent.id);
    add_content(source, record_of(COFRE_FILE, "\xff name\n%", 0644), &extent, 1);
}

static void add_stream(struct source *source)
{
    struct catalogue_extent extent = {.length = 9};
    store_chunk("-- a dump", 9, extent.id);
    add_content(source, record_of(COFRE_STREAM, "gym.dump", 0), &extent, 1);
}

/* The first record, no continuation, that begins at or after `from`. */
static void note_first(const struct source *source, size_t from, struct manifest_chunk *chunk, const char *before)
{
    struct catalogue_decoder decoder = {0};
    struct record record;
    size_t at = 0, n;
    chunk->first_record = chunk->length;
    for (; at < source->records.length && at < from + chunk->length; at += n) {
        const uint8_t *p = source->records.data + at;
        must(catalogue_record_length(p, source->records.length - at, &n, &e));
        must(catalogue_decode(&decoder, p, n, &record, &e));
        if (at >= from && !record.continuation)
            break;
    }
    bool found = at < from + chunk->length && at < source->records.length;
    if (found)
        chunk->first_record = at - from;
    chunk->first_path = text_copy(found ? record.entry.path : before);
    catalogue_decoder_free(&decoder);
}

static void store_catalogue(struct source *source)
{
    static struct chunker_table table;
    struct chunker chunker = {0};
    struct manifest_source *m = &source->manifest;
    const char *before = "";
    chunker_table_init(&table, put->chunker_seed);
    m->catalogue_bytes = source->records.length;
    m->chunks = calloc(m->catalogue_bytes / CHUNKER_MINIMUM + 1, sizeof m->chunks[0]);
    must(m->chunks ? 0 : error_memory(&e));
    for (size_t at = 0; at < source->records.length;) {
        bool cut;
        struct manifest_chunk *chunk = &m->chunks[m->chunk_count++];
        const uint8_t *p = source->records.data + at;
        chunk->length = chunker_feed(&chunker, &table, p, source->records.length - at, &cut);
        store_chunk(p, chunk->length, chunk->id);
        note_first(source, at, chunk, before);
        before = chunk->first_path;
        at += chunk->length;
    }
}

/* ---- the snapshot ---- */

static void store_index(uint8_t name[SEAL_HASH_SIZE])
{
    char hex[65], key[128];
    struct bytes object = {.maximum = 1 << 20};
    index_body_end(&index_body, packs);
    must(seal_envelope(put, SEAL_INDEX, NULL, 0, index_body.data, index_body.length, &object, &e));
    seal_hash(object.data, object.length, name);
    snprintf(key, sizeof key, "index/" HOST "/%s", text_hex(name, SEAL_HASH_SIZE, hex));
    store(key, object.data, object.length);
    bytes_free(&object);
}

static void store_manifest(struct source *files, struct source *stream)
{
    static char job[] = "nightly", host[] = HOST, version[] = "0.1.0", error[] = "connection refused", key[201],
                names[][8] = {"files", "gymdb", "cache"}, plugins[][10] = {"directory", "postgres", "redis"};
    static char rows[] = "rows", four[] = "4\xff%";
    static struct manifest_fact facts[] = {{.key = rows, .value = four, .identity = true, .must_match = true}};
    struct manifest_source sources[3] = {
        files->manifest, stream->manifest, {.status = MANIFEST_MISSING, .error = error}};
    uint8_t name[1][SEAL_HASH_SIZE];
    for (size_t i = 0; i < 3; i++) {
        sources[i].name = names[i];
        sources[i].plugin = plugins[i];
    }
    sources[0].status = MANIFEST_INCOMPLETE;
    sources[0].problem_count = 1;
    sources[1].facts = facts;
    sources[1].fact_count = 1;
    store_index(name[0]);
    struct manifest manifest = {.id = ID,
                                .job = job,
                                .host = host,
                                .version = version,
                                .started = TIME,
                                .ended = TIME + 1,
                                .status = MANIFEST_INCOMPLETE,
                                .sequence = 1,
                                .sources = sources,
                                .source_count = 3,
                                .indexes = name,
                                .index_count = 1};
    struct bytes object = {.maximum = MANIFEST_MAX};
    must(manifest_object_seal(&manifest, put, &object, &e));
    manifest_object_key(host, job, ID, key);
    store(key, object.data, object.length);
    bytes_free(&object);
}

static void store_config(bool plain)
{
    struct config_object config;
    struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    config_object_make(&config, full, plain);
    must(config_object_encode(&config, full, &text, &e));
    store("config", text.data, text.length);
    bytes_free(&text);
}

static void source_free(struct source *source)
{
    for (size_t i = 0; i < source->manifest.chunk_count; i++)
        free(source->manifest.chunks[i].first_path);
    free(source->manifest.chunks);
    bytes_free(&source->records);
}

int main(int argc, char **argv)
{
    struct source files = {.records = {.maximum = 64u << 20}}, stream = {.records = {.maximum = 1u << 20}};
    char path[1024];
    if (argc < 2)
        return 2;
    snprintf(root, sizeof root, "%s", argv[1]);
    snprintf(path, sizeof path, "%s/full.key", root);
    must(seal_init(&e));
    must(key_create(&full, &e));
    must(key_create_put(full, HOST, &put, &e));
    must(key_save(full, path, &e));
    must(pack_new(put, &pack, &e));
    must(pack_compressor_new(&compressor, &e));
    store_config(argc > 2 && strcmp(argv[2], "none") == 0);
    index_body_begin(&index_body, HOST, TIME);
    add_files(&files);
    add_stream(&stream);
    store_catalogue(&files);
    store_catalogue(&stream);
    store_pack();
    store_manifest(&files, &stream);
    source_free(&files);
    source_free(&stream);
    bytes_free(&index_body);
    pack_free(pack);
    pack_compressor_free(compressor);
    key_free(put);
    key_free(full);
    return 0;
}
