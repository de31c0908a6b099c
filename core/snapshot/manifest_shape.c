#include "snapshot/manifest_shape.h"

#include "snapshot/manifest.h"

#define FIELD(T, f) .offset = offsetof(struct T, f), .size = sizeof(((struct T *)0)->f)
#define LIST(T, f, n, E, most)                                                                                         \
    .offset = offsetof(struct T, f), .size = sizeof(*((struct T *)0)->f), .count_offset = offsetof(struct T, n),       \
    .maximum = (most), .element = (E)
#define SHAPE(rows)                                                                                                    \
    {                                                                                                                  \
        (rows), sizeof(rows) / sizeof((rows)[0])                                                                       \
    }

static const struct member pair_members[] = {
    {"key", MEMBER_TEXT, FIELD(manifest_pair, key)},
    {"value", MEMBER_TEXT, FIELD(manifest_pair, value)},
};
static const struct shape pair_shape = SHAPE(pair_members);

static const struct member fact_members[] = {
    {"key", MEMBER_TEXT, FIELD(manifest_fact, key)},
    {"value", MEMBER_TEXT, FIELD(manifest_fact, value)},
    {"identity", MEMBER_FLAG, .optional = true, FIELD(manifest_fact, identity)},
    {"must_match", MEMBER_FLAG, .optional = true, FIELD(manifest_fact, must_match)},
    {"may_grow", MEMBER_FLAG, .optional = true, FIELD(manifest_fact, may_grow)},
};
static const struct shape fact_shape = SHAPE(fact_members);

static const struct member left_out_members[] = {
    {"name", MEMBER_TEXT, FIELD(manifest_left_out, name)},
    {"why", MEMBER_TEXT, FIELD(manifest_left_out, why)},
};
static const struct shape left_out_shape = SHAPE(left_out_members);

static const struct member problem_members[] = {
    {"path", MEMBER_PATH, FIELD(manifest_problem, path)},
    {"error", MEMBER_TEXT, FIELD(manifest_problem, error)},
    {"hint", MEMBER_TEXT, .optional = true, FIELD(manifest_problem, hint)},
};
static const struct shape problem_shape = SHAPE(problem_members);

static const struct member part_members[] = {
    {"name", MEMBER_PATH, FIELD(manifest_part, name)},
    {"entries", MEMBER_COUNT, FIELD(manifest_part, entries)},
    {"bytes", MEMBER_COUNT, FIELD(manifest_part, bytes)},
};
static const struct shape part_shape = SHAPE(part_members);

static const struct member chunk_members[] = {
    {"id", MEMBER_HEX, FIELD(manifest_chunk, id)},
    {"length", MEMBER_COUNT, FIELD(manifest_chunk, length)},
    {"first_record", MEMBER_COUNT, FIELD(manifest_chunk, first_record)},
    {"first_path", MEMBER_PATH, FIELD(manifest_chunk, first_path)},
};
static const struct shape chunk_shape = SHAPE(chunk_members);

static const struct member missed_members[] = {
    {"repository", MEMBER_REPOSITORY, FIELD(manifest_missed, repository)},
    {"id", MEMBER_SNAPSHOT, FIELD(manifest_missed, id)},
};
static const struct shape missed_shape = SHAPE(missed_members);

static const struct member source_members[] = {
    {"name", MEMBER_NAME, FIELD(manifest_source, name)},
    {"plugin", MEMBER_NAME, FIELD(manifest_source, plugin)},
    {"plugin_version", MEMBER_TEXT, .optional = true, FIELD(manifest_source, plugin_version)},
    {"status", MEMBER_STATUS, FIELD(manifest_source, status)},
    {"error", MEMBER_TEXT, .optional = true, FIELD(manifest_source, error)},
    {"suspect", MEMBER_TEXT, .optional = true, FIELD(manifest_source, suspect)},
    {"options", MEMBER_LIST, LIST(manifest_source, options, option_count, &pair_shape, 4096)},
    {"facts", MEMBER_LIST, LIST(manifest_source, facts, fact_count, &fact_shape, MANIFEST_FACTS_MAX)},
    {"left_out_count", MEMBER_COUNT, FIELD(manifest_source, left_out_count)},
    {"left_out", MEMBER_LIST, LIST(manifest_source, left_out, left_out_listed, &left_out_shape, MANIFEST_LEFT_OUT_MAX)},
    {"entries", MEMBER_COUNT, FIELD(manifest_source, entries)},
    {"bytes", MEMBER_COUNT, FIELD(manifest_source, bytes)},
    {"parts", MEMBER_LIST, .optional = true, LIST(manifest_source, parts, part_count, &part_shape, MANIFEST_PARTS_MAX)},
    {"vanished", MEMBER_COUNT, FIELD(manifest_source, vanished)},
    {"problem_count", MEMBER_COUNT, FIELD(manifest_source, problem_count)},
    {"problems", MEMBER_LIST, LIST(manifest_source, problems, problems_listed, &problem_shape, MANIFEST_PROBLEMS_MAX)},
    {"fingerprint_key", MEMBER_HEX, FIELD(manifest_source, fingerprint_key)},
    {"catalogue_bytes", MEMBER_COUNT, FIELD(manifest_source, catalogue_bytes)},
    {"catalogue", MEMBER_LIST, LIST(manifest_source, chunks, chunk_count, &chunk_shape, 1000000)},
};
static const struct shape source_shape = SHAPE(source_members);

static const struct member manifest_members[] = {
    {"id", MEMBER_ID, FIELD(manifest, id)},
    {"job", MEMBER_NAME, FIELD(manifest, job)},
    {"host", MEMBER_NAME, FIELD(manifest, host)},
    {"version", MEMBER_TEXT, FIELD(manifest, version)},
    {"label", MEMBER_TEXT, .optional = true, FIELD(manifest, label)},
    {"started", MEMBER_TIME, FIELD(manifest, started)},
    {"ended", MEMBER_TIME, FIELD(manifest, ended)},
    {"status", MEMBER_STATUS, FIELD(manifest, status)},
    {"partial", MEMBER_FLAG, .optional = true, FIELD(manifest, partial)},
    {"previous", MEMBER_ID, .optional = true, FIELD(manifest, previous_id)},
    {"added", MEMBER_COUNT, FIELD(manifest, added)},
    {"missed", MEMBER_LIST, LIST(manifest, missed, missed_count, &missed_shape, 4096)},
    {"indexes", MEMBER_HASHES, LIST(manifest, indexes, index_count, NULL, 100000)},
    {"sources", MEMBER_LIST, LIST(manifest, sources, source_count, &source_shape, 4096)},
};
const struct shape manifest_shape = SHAPE(manifest_members);
