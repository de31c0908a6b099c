#include "repository/repository_prune.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/annotation.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)256 << 20)
#define MARKS_MAX ((size_t)1 << 30)

static struct repository *own(const struct vault *vault)
{
    return vault->own;
}

/* One thing that is known of a snapshot besides its manifest. */
struct mark {
    struct vault_name name;
    enum { MARK_MANIFEST, MARK_REMOVED, MARK_NEEDS, MARK_ANNOTATION } what;
    struct {
        enum vault_annotation_kind kind;
        bool readable;
        int64_t until;
        uint8_t hash[MANIFEST_HASH_SIZE];
    } said; /* by an annotation */
};

struct standings {
    struct repository *repository;
    const char *host, *job;
    struct bytes marks;     /* struct mark each, in the order of their names once all are there */
    struct bytes manifests; /* keys */
    vault_stands *stands;
    void *context;
};

static int compare_marks(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int order = repository_prune_order(&x->name, &y->name);
    return order ? order : (int)x->what - (int)y->what;
}

static int add_mark(struct standings *s, const struct mark *mark, struct error *e)
{
    bytes_put(&s->marks, mark, sizeof *mark);
    return bytes_check(&s->marks, "list of what is known of snapshots", e);
}

/* A range explains a gap, and names nobody: what would be in it and is there was not removed by that record. */
static int mark_removed(void *context, const struct verify_link *removed, struct error *e)
{
    if (removed->first_sequence)
        return 0;
    struct mark mark = {.what = MARK_REMOVED};
    memcpy(mark.name.host, removed->host, sizeof mark.name.host);
    memcpy(mark.name.job, removed->job, sizeof mark.name.job);
    memcpy(mark.name.id, removed->id, sizeof mark.name.id);
    return add_mark(context, &mark, e);
}

static int mark_annotation(void *context, const char *key, const struct bytes *object, const struct error *why,
                           struct error *e)
{
    struct standings *s = context;
    struct mark mark = {.what = MARK_ANNOTATION};
    struct vault_annotation annotation;
    struct error wrong = {.class = ERROR_NONE};
    annotation_parse_key(key, &mark.said.kind, &mark.name);
    if (!object)
        wrong = *why;
    else if (annotation_open(s->repository, key, object, &annotation, &wrong) == 0) {
        mark.said.readable = true;
        mark.said.until = annotation.until;
        memcpy(mark.said.hash, annotation.hash, sizeof mark.said.hash);
    }
    if (!mark.said.readable) {
        bool went = wrong.class == ERROR_NOT_FOUND;
        error_hint(&wrong, "its snapshot is kept; to say it anew: cofre pin, cofre unpin, cofre verify, cofre accept");
        if (placed_pass_over(s->repository, &wrong, e) < 0)
            return -1;
        if (went)
            return 0;
    }
    return add_mark(s, &mark, e);
}

static int mark_annotations(struct standings *s, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    for (int kind = 0; kind < VAULT_ANNOTATION_KINDS; kind++)
        if (placed_list(s->repository, annotation_prefix((enum vault_annotation_kind)kind), s->host, s->job, &keys, e) <
            0)
            return -1;
    return sink_get_each(s->repository->sink, (const char *)keys.data, keys.length, ANNOTATION_OBJECT_MAX,
                         mark_annotation, s, e);
}

/* What there is under the prefix, by the names alone. keys: appended. */
static int mark_listed(struct standings *s, const char *prefix, struct mark mark, struct bytes *keys, struct error *e)
{
    size_t at = keys->length;
    if (placed_list(s->repository, prefix, s->host, s->job, keys, e) < 0)
        return -1;
    for (; at < keys->length; at += strlen((const char *)keys->data + at) + 1)
        if (placed_parse_key(prefix, (const char *)keys->data + at, &mark.name) && add_mark(s, &mark, e) < 0)
            return -1;
    return 0;
}

static const struct mark *marks_of(const struct standings *s, const struct vault_name *name, size_t *count)
{
    const struct mark *all = (const struct mark *)(const void *)s->marks.data;
    size_t low = 0, high = s->marks.length / sizeof *all, end = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (repository_prune_order(&all[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*count = 0; low + *count < end && repository_prune_order(&all[low + *count].name, name) == 0; ++*count)
        ;
    return all + low;
}

static void apply_annotation(const struct mark *mark, struct vault_standing *standing)
{
    bool ours = memcmp(mark->said.hash, standing->hash, sizeof standing->hash) == 0;
    if (!mark->said.readable || mark->said.kind == VAULT_PIN) {
        int64_t until = mark->said.readable ? mark->said.until : VAULT_PIN_FOREVER;
        standing->pinned_until = standing->pinned && standing->pinned_until > until ? standing->pinned_until : until;
        standing->pinned = true;
    } else if (mark->said.kind == VAULT_VERIFIED) {
        standing->verified = ours;
    } else if (mark->said.kind == VAULT_ACCEPTED) {
        standing->suspect = standing->suspect && !ours;
    } else {
        standing->proven = ours;
    }
}

static void apply_marks(const struct standings *s, struct vault_standing *standing)
{
    size_t count;
    const struct mark *marks = marks_of(s, &standing->name, &count);
    for (size_t i = 0; i < count; i++) {
        standing->removed = standing->removed || marks[i].what == MARK_REMOVED;
        if (marks[i].what == MARK_ANNOTATION)
            apply_annotation(&marks[i], standing);
    }
}

/* One that is gone by now was removed by another prune. */
static int tell_standing(void *context, const char *key, const struct bytes *object, const struct error *why,
                         struct error *e)
{
    const struct standings *s = context;
    struct vault_standing standing = {0};
    struct manifest_clear clear = {0};
    struct error wrong = {.class = ERROR_NONE};
    manifest_object_parse_key(key, standing.name.host, standing.name.job, standing.name.id);
    if (!object && why->class == ERROR_NOT_FOUND)
        return 0;
    if (!object)
        wrong = *why;
    else if (manifest_object_admit(s->repository, object->data, object->length, key, &clear, &wrong) == 0)
        wrong = (struct error){.class = ERROR_NONE};
    if (wrong.class != ERROR_NONE) {
        error_subject(&wrong, "sink", sink_name(s->repository->sink));
        if (!sink_is_of_object(&wrong)) {
            *e = wrong;
            return -1;
        }
        return s->stands(s->context, &standing, &wrong, e);
    }
    standing.sequence = clear.sequence;
    standing.started = clear.started;
    standing.ended = clear.ended;
    standing.complete = !(clear.flags & MANIFEST_CLEAR_INCOMPLETE);
    standing.partial = clear.flags & MANIFEST_CLEAR_PARTIAL;
    standing.suspect = clear.flags & MANIFEST_CLEAR_SUSPECT;
    standing.unknown = clear.flags & ~MANIFEST_CLEAR_KNOWN;
    memcpy(standing.previous, clear.previous_hash, sizeof standing.previous);
    seal_hash(object->data, object->length, standing.hash);
    apply_marks(s, &standing);
    return s->stands(s->context, &standing, &wrong, e);
}

/* What a record names, and of which something is left, but not the manifest. */
static int tell_rests(const struct standings *s, struct error *e)
{
    const struct mark *all = (const struct mark *)(const void *)s->marks.data;
    const struct error none = {.class = ERROR_NONE};
    size_t count = s->marks.length / sizeof *all, of;
    for (size_t i = 0; i < count; i += of) {
        const struct mark *marks = marks_of(s, &all[i].name, &of);
        struct vault_standing standing = {.name = all[i].name, .removed = true};
        /* In the order of what they are: a record, no manifest before it, and more behind. */
        if (marks[0].what == MARK_REMOVED && marks[of - 1].what > MARK_REMOVED &&
            s->stands(s->context, &standing, &none, e) < 0)
            return -1;
    }
    return 0;
}

/* Manifests are listed last: what is said of those that are listed is known, and what is removed in the meantime is
 * there in part at most. */
static int load_marks(struct vault *vault, struct standings *s, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    if (repository_prune_removals(vault, s->host, s->job, mark_removed, s, e) < 0 || mark_annotations(s, e) < 0 ||
        mark_listed(s, NEEDS_PREFIX, (struct mark){.what = MARK_NEEDS}, &keys, e) < 0 ||
        mark_listed(s, "snapshots", (struct mark){.what = MARK_MANIFEST}, &s->manifests, e) < 0)
        return -1;
    if (s->marks.length > 0)
        qsort(s->marks.data, s->marks.length / sizeof(struct mark), sizeof(struct mark), compare_marks);
    return 0;
}

int repository_prune_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands,
                               void *context, struct error *e)
{
    struct standings s = {.repository = own(vault),
                          .host = host,
                          .job = job,
                          .marks = {.maximum = MARKS_MAX},
                          .manifests = {.maximum = KEYS_MAX},
                          .stands = stands,
                          .context = context};
    int result = load_marks(vault, &s, e);
    if (result == 0)
        result = sink_get_each(s.repository->sink, (const char *)s.manifests.data, s.manifests.length,
                               MANIFEST_OBJECT_MAX, tell_standing, &s, e);
    if (result == 0)
        result = tell_rests(&s, e);
    bytes_free(&s.marks);
    bytes_free(&s.manifests);
    return result;
}
