#include "archive/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "config/secret.h"
#include "worker/sink.h"

void archive_key(const char *job, const char *id, const char *name, char out[ARCHIVE_KEY_SIZE])
{
    int n = snprintf(out, ARCHIVE_KEY_SIZE, "%s/%s/%s", job, id, name);
    ASSERT(n > 0 && n < ARCHIVE_KEY_SIZE);
}

/* ---- open ---- */

static int open_pgp(struct archive *a, struct error *e)
{
    if (!a->spec.pgp.home)
        return 0;
    a->spec.pgp.home = a->home = text_copy(a->spec.pgp.home);
    if (!a->home)
        return error_memory(e);
    if (a->spec.own_home && strlen(a->spec.pgp.home) <= PGP_HOME_MAX && pgp_make_home(a->spec.pgp.home, e) < 0)
        return -1;
    return pgp_open(&a->spec.pgp, &a->pgp, e);
}

static int look(struct archive *a, struct error *e)
{
    if (marker_read(a->sink, &a->marker, e) == 0)
        return 0;
    if (e->class != ERROR_NOT_FOUND)
        return error_subject(e, "sink", sink_name(a->sink));
    error_set(e, ERROR_NOT_INITIALISED, "has no archive yet");
    error_subject(e, "sink", sink_name(a->sink));
    return error_hint(e, "make it: cofre init %s; if there should be one, look whether the right disk is mounted",
                      sink_name(a->sink));
}

int archive_open(struct sink *sink, const struct archive_spec *spec, struct archive **archive, struct error *e)
{
    struct archive *a = calloc(1, sizeof *a);
    if (!a) {
        sink_free(sink);
        return error_memory(e);
    }
    a->spec = *spec;
    a->sink = sink;
    if (open_pgp(a, e) < 0)
        error_subject(e, "sink", sink_name(sink));
    else if (look(a, e) == 0) {
        *archive = a;
        return 0;
    }
    archive_close(a);
    return -1;
}

void archive_close(struct archive *archive)
{
    if (!archive)
        return;
    pgp_free(archive->pgp);
    secret_free((void *)(uintptr_t)archive->spec.pgp.passphrase);
    secret_free((void *)(uintptr_t)archive->spec.pgp.key_passphrase);
    sink_free(archive->sink);
    free(archive->home);
    free(archive);
}

struct pgp *archive_sealing(const struct archive *archive)
{
    return archive->spec.encryption == INVENTORY_PLAIN ? NULL : archive->pgp;
}

int archive_prove(struct archive *archive, struct error *e)
{
    if (archive->proven || archive->spec.encryption != INVENTORY_PASSPHRASE)
        return 0;
    if (marker_prove(&archive->marker, archive->pgp, e) < 0)
        return error_subject(e, "sink", sink_name(archive->sink));
    archive->proven = true;
    return 0;
}

int archive_ready(struct archive *archive, void (*warn)(void *context, const char *text, const char *hint),
                  void *context, struct error *e)
{
    if (archive_prove(archive, e) < 0)
        return -1;
    if (!archive->pgp || pgp_ready(archive->pgp, warn, context, e) == 0)
        return 0;
    return error_subject(e, "sink", sink_name(archive->sink));
}

/* ---- snapshots ---- */

/* "JOB/ID/manifest.json", each NUL terminated; given after the listing, since a sink does one thing at a time. */
static int collect(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    size_t n = strlen(object->key), tail = strlen("/" ARCHIVE_MANIFEST);
    if (n > tail && strcmp(object->key + n - tail, "/" ARCHIVE_MANIFEST) == 0)
        bytes_put(keys, object->key, n + 1);
    return bytes_check(keys, "listing of snapshots", e);
}

int archive_list(struct archive *archive, const char *job,
                 int (*found)(void *context, const char *job, const char *id, struct error *e), void *context,
                 struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = (size_t)256 << 20};
    char prefix[80] = "";
    if (job)
        snprintf(prefix, sizeof prefix, "%s/", job);
    int result = sink_list(archive->sink, prefix, collect, &keys, e);
    for (size_t at = 0; result == 0 && at < keys.length; at += strlen((const char *)keys.data + at) + 1) {
        char its_job[64], id[MANIFEST_ID_SIZE];
        int end = 0;
        const char *key = (const char *)keys.data + at;
        if (sscanf(key, "%63[^/]/%23[^/]/" ARCHIVE_MANIFEST "%n", its_job, id, &end) == 2 && end > 0 &&
            key[end] == '\0' && text_is_name(its_job) && manifest_is_id(id))
            result = found(context, its_job, id, e);
    }
    return result;
}

/* Somebody who has only the public key can make an archive. With a signer configured, only what he signed counts. */
static int check_signature(struct archive *a, const char *job, const char *id, const struct bytes *manifest,
                           struct error *e)
{
    AUTO_BYTES struct bytes signature = {.maximum = ARCHIVE_SMALL_MAX};
    char key[ARCHIVE_KEY_SIZE], name[ARCHIVE_KEY_SIZE];
    if (!a->spec.pgp.signer)
        return 0;
    archive_key(job, id, ARCHIVE_SIGNATURE, key);
    archive_key(job, id, ARCHIVE_MANIFEST, name);
    if (sink_get(a->sink, key, ARCHIVE_SMALL_MAX - 1, &signature, e) == 0)
        return pgp_verify(a->pgp, manifest->data, manifest->length, signature.data, signature.length, e) < 0
                   ? error_context(e, "'%s': ", name)
                   : 0;
    if (e->class != ERROR_NOT_FOUND)
        return -1;
    error_set(e, ERROR_INTEGRITY, "'%s' is not signed, and sign_with is configured", name);
    return error_hint(e, "made before sign_with was set? read it through a section without sign_with");
}

static int check_encryption(const struct archive *a, const struct inventory *inventory, const char *key,
                            struct error *e)
{
    static const char *const words[] = {[INVENTORY_PLAIN] = "not encrypted",
                                        [INVENTORY_RECIPIENTS] = "encrypted to recipients",
                                        [INVENTORY_PASSPHRASE] = "encrypted with a passphrase"};
    if (inventory->encryption == a->spec.encryption)
        return 0;
    error_set(e, ERROR_INTEGRITY, "'%s' is %s, but sink '%s' is configured to be %s", key, words[inventory->encryption],
              sink_name(a->sink), words[a->spec.encryption]);
    return error_hint(e, "if the section was changed since, read it through a second section that is as it was then");
}

static int check_place(const struct inventory *inventory, const char *job, const char *id, const char *key,
                       struct error *e)
{
    const struct manifest *m = inventory->manifest;
    if (strcmp(m->job, job) == 0 && strcmp(m->id, id) == 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "read '%s': it is the manifest of %s/%s", key, m->job, m->id);
}

int archive_read(struct archive *archive, const char *job, const char *id, struct inventory *inventory,
                 struct bytes *text, struct error *e)
{
    AUTO_BYTES struct bytes own = {.maximum = INVENTORY_MAX};
    struct bytes *bytes = text ? text : &own;
    char key[ARCHIVE_KEY_SIZE];
    archive_key(job, id, ARCHIVE_MANIFEST, key);
    if (sink_get(archive->sink, key, INVENTORY_MAX - 1, bytes, e) < 0 ||
        check_signature(archive, job, id, bytes, e) < 0 ||
        inventory_parse(bytes->data, bytes->length, key, inventory, e) < 0)
        return -1;
    if (check_place(inventory, job, id, key, e) == 0 && check_encryption(archive, inventory, key, e) == 0)
        return 0;
    inventory_free(inventory);
    return -1;
}

/* ---- SHA256SUMS ---- */

static void put_sum(struct bytes *out, const uint8_t hash[DIGEST_SIZE], const char *name)
{
    char text[DIGEST_TEXT];
    bytes_print(out, "%s  %s\n", text_hex(hash, DIGEST_SIZE, text), name);
}

static int put_sum_of(struct bytes *out, const struct bytes *content, const char *name, struct error *e)
{
    uint8_t hash[DIGEST_SIZE];
    if (digest_of(content->data, content->length, hash, e) < 0)
        return -1;
    put_sum(out, hash, name);
    return 0;
}

int archive_sums(const struct inventory *inventory, const struct bytes *manifest, const struct bytes *signature,
                 struct bytes *out, struct error *e)
{
    for (size_t i = 0; i < inventory->file_count; i++)
        put_sum(out, inventory->files[i].sha256, inventory->files[i].name);
    if (put_sum_of(out, manifest, ARCHIVE_MANIFEST, e) < 0 ||
        (signature && put_sum_of(out, signature, ARCHIVE_SIGNATURE, e) < 0))
        return -1;
    return bytes_check(out, ARCHIVE_SUMS, e);
}

/* An object that may be missing. */
static int get_small(struct archive *a, const struct inventory *inventory, const char *name, struct bytes *out,
                     bool *there, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    archive_key(inventory->manifest->job, inventory->manifest->id, name, key);
    *there = sink_get(a->sink, key, out->maximum - 1, out, e) == 0;
    return *there || e->class == ERROR_NOT_FOUND ? 0 : -1;
}

int archive_check_sums(struct archive *archive, const struct inventory *inventory, const struct bytes *manifest,
                       struct error *e)
{
    AUTO_BYTES struct bytes signature = {.maximum = ARCHIVE_SMALL_MAX}, wanted = {.maximum = ARCHIVE_SMALL_MAX},
                            sums = {.maximum = ARCHIVE_SMALL_MAX};
    const struct manifest *m = inventory->manifest;
    bool is_signed, there;
    if (get_small(archive, inventory, ARCHIVE_SIGNATURE, &signature, &is_signed, e) < 0 ||
        get_small(archive, inventory, ARCHIVE_SUMS, &sums, &there, e) < 0 ||
        archive_sums(inventory, manifest, is_signed ? &signature : NULL, &wanted, e) < 0)
        return -1;
    if (!there)
        return error_set(e, ERROR_INTEGRITY, "'%s/%s/%s' is missing", m->job, m->id, ARCHIVE_SUMS);
    if (sums.length == wanted.length && memcmp(sums.data, wanted.data, sums.length) == 0)
        return 0;
    bool of_two = is_signed || archive->spec.pgp.signer;
    return error_set(e, ERROR_INTEGRITY, "'%s/%s/%s' does not fit '%s'%s", m->job, m->id, ARCHIVE_SUMS,
                     ARCHIVE_MANIFEST, of_two ? " and '" ARCHIVE_SIGNATURE "'" : "");
}
