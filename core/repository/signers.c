#include "repository/signers.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/acceptance.h"
#include "repository/key.h"
#include "repository/manifest_object.h"
#include "repository/revocation.h"
#include "worker/sink.h"

#define OBJECTS_MAX 4096
#define OBJECTS_BYTES_MAX ((uint64_t)64 << 20) /* of all of them */
#define FILE_MAX_BYTES ((size_t)16 << 20)

/* One accepted signer of a host and job. */
struct accepted {
    char host[64], job[64]; /* job: "" = any, as the root has said in the sink */
    uint8_t signer[32];
};

struct known {
    struct revocation revocation;
    bool there; /* in the sink; else it is remembered alone */
};

struct signers {
    struct sink *sink;
    const struct key *key;
    char *directory;
    struct known *revoked;
    size_t revoked_count;
    struct accepted *accepted; /* in the order in which they were */
    size_t accepted_count;
    bool changed;
};

/* ---- what the root has said ---- */

static int add_accepted(struct signers *s, const struct accepted *row, struct error *e)
{
    struct accepted *all = realloc(s->accepted, (s->accepted_count + 1) * sizeof *all);
    if (!all)
        return error_memory(e);
    s->accepted = all;
    all[s->accepted_count++] = *row;
    return 0;
}

static struct known *find_known(const struct signers *s, const uint8_t signer[32])
{
    for (size_t i = 0; i < s->revoked_count; i++)
        if (memcmp(s->revoked[i].revocation.signer, signer, 32) == 0)
            return &s->revoked[i];
    return NULL;
}

const struct revocation *signers_revoked(const struct signers *signers, const uint8_t signer[32])
{
    const struct known *known = find_known(signers, signer);
    return known ? &known->revocation : NULL;
}

static int compare_signers(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

int signers_list_revoked(const struct signers *signers, struct bytes *out, struct error *e)
{
    size_t start = out->length;
    for (size_t i = 0; i < signers->revoked_count; i++)
        bytes_put(out, signers->revoked[i].revocation.signer, 32);
    if (signers->revoked_count > 0 && !out->failed)
        qsort(out->data + start, signers->revoked_count, 32, compare_signers);
    return bytes_check(out, "list of revoked signers", e);
}

/* Takes it. What the sink has comes later, and in the place of what is remembered. */
static int add_revoked(struct signers *s, struct revocation *revocation, bool there, struct error *e)
{
    struct known *known = find_known(s, revocation->signer);
    if (!known) {
        struct known *all = realloc(s->revoked, (s->revoked_count + 1) * sizeof *all);
        if (!all) {
            revocation_free(revocation);
            return error_memory(e);
        }
        s->revoked = all;
        known = &all[s->revoked_count++];
        *known = (struct known){0};
    }
    revocation_free(&known->revocation);
    *known = (struct known){.revocation = *revocation, .there = there};
    return 0;
}

static int path_of(const struct signers *s, const char *name, char out[PATH_MAX], struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/%s", s->directory, name) < PATH_MAX)
        return 0;
    return error_set(e, ERROR_RANGE, "path '%s/%s' is too long", s->directory, name);
}

/* One that was seen before; what cannot be read any more is said, and does not count. */
static int recall(struct signers *s, const char *name, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = REVOCATION_MAX + 1};
    struct revocation revocation;
    uint8_t signer[32];
    char key[201], path[PATH_MAX];
    if (!text_parse_hex(name, signer, sizeof signer))
        return 0;
    revocation_key(signer, key);
    if (path_of(s, key, path, e) < 0)
        return -1;
    if (file_read_own(path, REVOCATION_MAX, &text, e) == 0 &&
        revocation_decode(text.data, text.length, key, s->key->public.root, &revocation, e) == 0)
        return add_revoked(s, &revocation, false, e);
    if (e->class == ERROR_MEMORY || e->class == ERROR_UNSUPPORTED)
        return -1;
    log_error(LOG_WARNING, e);
    return 0;
}

static int recall_all(struct signers *s, struct error *e)
{
    char path[PATH_MAX];
    if (path_of(s, "signers/revoked", path, e) < 0)
        return -1;
    DIR *stream = opendir(path);
    if (!stream)
        return errno == ENOENT ? 0 : error_system(e, errno, "open directory '%s'", path);
    int result = 0;
    for (const struct dirent *file; result == 0 && (file = readdir(stream));)
        result = recall(s, file->d_name, e);
    closedir(stream);
    return result;
}

static void remember(const struct signers *s, const uint8_t signer[32], const struct bytes *object)
{
    struct error e;
    char path[PATH_MAX], key[201];
    revocation_key(signer, key); /* where it is in the sink, it is in the directory */
    if (path_of(s, "signers/revoked", path, &e) < 0 || file_make_trusted(path, &e) < 0 ||
        path_of(s, key, path, &e) < 0 || file_write(path, object->data, object->length, FILE_REPLACE, &e) < 0)
        log_error(LOG_WARNING, &e);
}

static int take_revocation(struct signers *s, const char *key, const struct bytes *object, struct error *e)
{
    struct revocation revocation;
    if (revocation_decode(object->data, object->length, key, s->key->public.root, &revocation, e) < 0)
        return -1;
    const struct known *known = find_known(s, revocation.signer);
    if (!known || known->revocation.count != revocation.count || known->revocation.since != revocation.since)
        remember(s, revocation.signer, object);
    return add_revoked(s, &revocation, true, e);
}

static int take_acceptance(struct signers *s, const char *key, const struct bytes *object, struct error *e)
{
    struct acceptance acceptance;
    struct accepted row = {0};
    if (acceptance_decode(object->data, object->length, key, s->key->public.root, &acceptance, e) < 0)
        return -1;
    memcpy(row.host, acceptance.host, sizeof row.host);
    memcpy(row.signer, acceptance.signer, sizeof row.signer);
    return add_accepted(s, &row, e);
}

/* What is wrong with one object costs only that: nobody but the root can make one. What the root has said in a form
 * that is not known cannot be heeded, so nothing can be believed. */
static int take_object(void *context, const char *key, const struct bytes *object, const struct error *why,
                       struct error *e)
{
    struct signers *s = context;
    uint8_t signer[32];
    struct error wrong;
    int result = -1;
    if (!object)
        wrong = *why;
    else if (revocation_parse_key(key, signer))
        result = take_revocation(s, key, object, &wrong);
    else
        result = take_acceptance(s, key, object, &wrong);
    if (result == 0)
        return 0;
    if (wrong.class == ERROR_CANCELLED || wrong.class == ERROR_RETRY || wrong.class == ERROR_MEMORY ||
        wrong.class == ERROR_UNSUPPORTED) {
        *e = wrong;
        return -1;
    }
    error_subject(&wrong, "sink", sink_name(s->sink));
    log_error(LOG_WARNING, &wrong);
    return 0;
}

struct listing {
    struct bytes keys; /* each NUL terminated */
    uint64_t bytes, count;
};

static int list_object(void *context, const struct sink_object *object, struct error *e)
{
    struct listing *l = context;
    uint8_t signer[32];
    struct acceptance acceptance;
    if (!revocation_parse_key(object->key, signer) && !acceptance_parse_key(object->key, &acceptance))
        return 0;
    l->bytes += object->size;
    if (++l->count > OBJECTS_MAX || l->bytes > OBJECTS_BYTES_MAX) {
        error_set(e, ERROR_RANGE, "too many or too large objects below 'signers/': they cannot all be what cofre made");
        return error_hint(e, "look who stored them, and remove what 'key revoke' and 'key accept' did not make");
    }
    bytes_put(&l->keys, object->key, strlen(object->key) + 1);
    return bytes_check(&l->keys, "listing of signers", e);
}

static int read_objects(struct signers *s, struct error *e)
{
    struct listing l = {.keys = {.maximum = (size_t)1 << 20}};
    int result = sink_list(s->sink, "signers/", list_object, &l, e);
    if (result == 0)
        result = sink_get_each(s->sink, (const char *)l.keys.data, l.keys.length, REVOCATION_MAX, take_object, s, e);
    bytes_free(&l.keys);
    return result;
}

static void say_gone(const struct signers *s)
{
    for (size_t i = 0; i < s->revoked_count; i++) {
        char key[201];
        revocation_key(s->revoked[i].revocation.signer, key);
        if (!s->revoked[i].there)
            log_line(LOG_WARNING,
                     "sink '%s': '%s' is gone: somebody took the revocation away; it holds here all the same",
                     sink_name(s->sink), key);
    }
}

/* ---- accepted here: a line "HOST JOB SIGNER" for each ---- */

static int parse_accepted(struct signers *s, const char *path, char *text, struct error *e)
{
    char *rest = text;
    for (const char *line; (line = strsep(&rest, "\n")) && *line;) {
        struct accepted row;
        char hex[65];
        if (sscanf(line, "%63s %63s %64s", row.host, row.job, hex) != 3 || !text_is_name(row.host) ||
            !text_is_name(row.job) || !text_parse_hex(hex, row.signer, sizeof row.signer)) {
            error_set(e, ERROR_INTEGRITY, "state file '%s' is damaged", path);
            return error_hint(e, "move it away: who signs for which host is then learnt anew");
        }
        if (add_accepted(s, &row, e) < 0)
            return -1;
    }
    return 0;
}

static int load_accepted(struct signers *s, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX_BYTES + 1};
    char path[PATH_MAX];
    if (path_of(s, "signers/accepted", path, e) < 0)
        return -1;
    if (file_read_own(path, FILE_MAX_BYTES, &text, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    bytes_put(&text, "", 1);
    return bytes_check(&text, path, e) < 0 ? -1 : parse_accepted(s, path, (char *)text.data, e);
}

static int save_accepted(const struct signers *s, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX_BYTES};
    char path[PATH_MAX], hex[65];
    for (size_t i = 0; i < s->accepted_count; i++)
        if (s->accepted[i].job[0] != '\0')
            bytes_print(&text, "%s %s %s\n", s->accepted[i].host, s->accepted[i].job,
                        text_hex(s->accepted[i].signer, 32, hex));
    if (path_of(s, "signers", path, e) < 0 || file_make_trusted(path, e) < 0 ||
        path_of(s, "signers/accepted", path, e) < 0 || bytes_check(&text, path, e) < 0)
        return -1;
    return file_write(path, text.data, text.length, FILE_REPLACE, e);
}

/* ---- admitting ---- */

static void parse(const char *object, struct accepted *row)
{
    char id[MANIFEST_ID_SIZE];
    *row = (struct accepted){0};
    bool is_name = manifest_object_parse_key(object, row->host, row->job, id);
    ASSERT(is_name);
}

static bool is_for(const struct accepted *one, const struct accepted *whom)
{
    return strcmp(one->host, whom->host) == 0 && (one->job[0] == '\0' || strcmp(one->job, whom->job) == 0);
}

static bool is_own(const struct signers *s, const uint8_t signer[32])
{
    return memcmp(signer, s->key->signer_public, KEY_SIZE) == 0;
}

static bool is_known(const struct signers *s, const struct accepted *row)
{
    for (size_t i = 0; i < s->accepted_count; i++)
        if (is_for(&s->accepted[i], row))
            return true;
    return false;
}

bool signers_is_first(const struct signers *signers, const char *object, const uint8_t signer[32])
{
    struct accepted row;
    parse(object, &row);
    return !is_own(signers, signer) && !is_known(signers, &row);
}

int signers_accept(struct signers *signers, const char *object, const uint8_t signer[32], struct error *e)
{
    struct accepted row;
    parse(object, &row);
    memcpy(row.signer, signer, sizeof row.signer);
    for (size_t i = 0; i < signers->accepted_count; i++)
        if (is_for(&signers->accepted[i], &row) && memcmp(signers->accepted[i].signer, signer, 32) == 0)
            return 0;
    signers->changed = true;
    return add_accepted(signers, &row, e);
}

static bool is_accepted(const struct signers *s, const struct accepted *row, const uint8_t signer[32])
{
    for (size_t i = 0; i < s->accepted_count; i++)
        if (is_for(&s->accepted[i], row) && memcmp(s->accepted[i].signer, signer, 32) == 0)
            return true;
    return false;
}

static int refuse_revoked(const struct revocation *revocation, const char *object, struct error *e)
{
    char since[CLOCK_TEXT_MAX];
    error_set(e, ERROR_INTEGRITY, "'%s' does not count: the key that signed it was revoked, as of %s", object,
              clock_format_shown(revocation->since, since));
    return error_hint(e, "it was not among what that key had stored before, so somebody else may have made it");
}

int signers_check_revoked(const struct signers *signers, const struct signers_claim *claim, struct error *e)
{
    const struct revocation *revocation = signers_revoked(signers, claim->signer);
    if (!revocation || revocation_counts(revocation, claim->hash))
        return 0;
    return refuse_revoked(revocation, claim->object, e);
}

int signers_admit(struct signers *signers, const struct signers_claim *claim, struct error *e)
{
    struct accepted row;
    char hex[65];
    if (signers_check_revoked(signers, claim, e) < 0)
        return -1;
    parse(claim->object, &row);
    if (is_own(signers, claim->signer) || !is_known(signers, &row) || is_accepted(signers, &row, claim->signer))
        return signers_accept(signers, claim->object, claim->signer, e);
    error_set(e, ERROR_SIGNER, "'%s' is signed by another key (%.16s...) than this machine has accepted for it",
              claim->object, text_hex(claim->signer, 32, hex));
    return error_hint(e, "if the key of host '%s' was changed on purpose: cofre key accept %s %s", row.host,
                      sink_name(signers->sink), row.host);
}

/* ---- all of it ---- */

int signers_open(struct sink *sink, const struct key *key, const char *directory, struct signers **signers,
                 struct error *e)
{
    struct signers *s = calloc(1, sizeof *s);
    if (!s || !(s->directory = text_copy(directory))) {
        free(s);
        return error_memory(e);
    }
    s->sink = sink;
    s->key = key;
    if (recall_all(s, e) < 0 || read_objects(s, e) < 0 || load_accepted(s, e) < 0) {
        signers_free(s);
        return -1;
    }
    say_gone(s);
    *signers = s;
    return 0;
}

void signers_free(struct signers *signers)
{
    struct error e;
    if (!signers)
        return;
    if (signers->changed && save_accepted(signers, &e) < 0)
        log_error(LOG_WARNING, &e);
    for (size_t i = 0; i < signers->revoked_count; i++)
        revocation_free(&signers->revoked[i].revocation);
    free(signers->revoked);
    free(signers->accepted);
    free(signers->directory);
    free(signers);
}
