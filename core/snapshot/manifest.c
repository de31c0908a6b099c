#include "snapshot/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "snapshot/manifest_json.h"

/* The time in an id, in seconds; -1 for none. */
static int64_t id_time(const char *id)
{
    struct tm tm = {0};
    if (!manifest_is_id(id) || !strptime(id, "%Y%m%dT%H%M%SZ", &tm))
        return -1;
    return timegm(&tm);
}

void manifest_make_id(int64_t now, const char *after, char id[MANIFEST_ID_SIZE])
{
    char when[CLOCK_TEXT_MAX], hex[7];
    uint8_t random[3];
    int64_t last = id_time(after);
    if (last >= now / 1000000000 && last < INT64_MAX / 1000000000)
        now = (last + 1) * 1000000000;
    while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        ;
    snprintf(id, MANIFEST_ID_SIZE, "%.16s-%s", clock_format_compact(now, when), text_hex(random, sizeof random, hex));
}

bool manifest_is_future(const char *id, int64_t now)
{
    return id_time(id) > now / 1000000000 + 24 * 60 * 60;
}

bool manifest_is_id(const char *text)
{
    static const char form[] = "00000000T000000Z-xxxxxx";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++) {
        bool open = form[i] == '0' || form[i] == 'x';
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool letter = form[i] == 'x' && text[i] >= 'a' && text[i] <= 'f';
        if (open ? !digit && !letter : text[i] != form[i])
            return false;
    }
    return true;
}

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    manifest_json_free(manifest);
    free(manifest->previous_forms);
    free(manifest);
}

/* ---- what must hold between the members ---- */

static int refuse(const char *name, const char *source, const char *why, struct error *e)
{
    if (source)
        return error_set(e, ERROR_INTEGRITY, "read '%s': source '%s' %s", name, source, why);
    return error_set(e, ERROR_INTEGRITY, "read '%s': %s", name, why);
}

static int check_catalogue(const struct manifest_source *source, const char *name, struct error *e)
{
    uint64_t total = 0;
    for (size_t i = 0; i < source->chunk_count; i++) {
        const struct manifest_chunk *chunk = &source->chunks[i];
        if (chunk->length == 0 || chunk->length > MANIFEST_CHUNK_MAX || chunk->first_record > chunk->length)
            return refuse(name, source->name, "has a catalogue chunk that cannot be", e);
        total += chunk->length;
    }
    if (total != source->catalogue_bytes)
        return refuse(name, source->name, "has a catalogue of another length than its chunks", e);
    if (source->chunk_count > 0 && source->chunks[0].first_record != 0)
        return refuse(name, source->name, "has a catalogue that does not begin with a record", e);
    return 0;
}

static int check_source(const struct manifest *m, size_t i, const char *name, struct error *e)
{
    const struct manifest_source *source = &m->sources[i];
    for (size_t k = 0; k < i; k++)
        if (strcmp(source->name, m->sources[k].name) == 0)
            return refuse(name, source->name, "is there twice", e);
    if (source->problems_listed > source->problem_count)
        return refuse(name, source->name, "lists more problems than it counts", e);
    if (source->left_out_listed > source->left_out_count)
        return refuse(name, source->name, "lists more that was left out than it counts", e);
    bool missing = source->status == MANIFEST_MISSING;
    if (missing && (!source->error || source->chunk_count > 0))
        return refuse(name, source->name, "is missing, but has a catalogue or no reason", e);
    if (missing && source->suspect)
        return refuse(name, source->name, "is missing, and said to be suspect", e);
    if (m->status == MANIFEST_COMPLETE && source->status != MANIFEST_COMPLETE)
        return refuse(name, source->name, "is not complete, but the snapshot is said to be", e);
    return check_catalogue(source, name, e);
}

bool manifest_is_suspect(const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->source_count; i++)
        if (manifest->sources[i].suspect)
            return true;
    return false;
}

int manifest_check(const struct manifest *m, const char *name, struct error *e)
{
    static const uint8_t zero[MANIFEST_HASH_SIZE];
    if (m->status == MANIFEST_MISSING)
        return refuse(name, NULL, "its status is that of a source", e);
    if (m->sequence == 0 || m->sequence > INT64_MAX)
        return refuse(name, NULL, "its sequence number cannot be", e);
    bool first = memcmp(m->previous_hash, zero, sizeof zero) == 0;
    if (first != (m->previous_id[0] == '\0'))
        return refuse(name, NULL, "it has only one of the previous snapshot's id and hash", e);
    if (m->source_count == 0)
        return refuse(name, NULL, "it has no source", e);
    for (size_t i = 0; i < m->source_count; i++)
        if (check_source(m, i, name, e) < 0)
            return -1;
    return 0;
}
