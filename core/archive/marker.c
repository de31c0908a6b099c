#include "archive/marker.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "archive/archive.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/json_limit.h"
#include "base/text.h"
#include "openpgp/pgp.h"
#include "worker/sink.h"

#define KEY "archive.json"
#define MAXIMUM 4096
#define FORMAT 1
#define KIND "cofre archive"
#define VARIANT sodium_base64_VARIANT_ORIGINAL
#define PLAIN_MAX 64

/* ---- reading ---- */

static bool read_probe(const json_t *root, struct marker *marker)
{
    const json_t *probe = json_object_get(root, "probe");
    marker->probe_length = 0;
    return !probe || (json_is_string(probe) &&
                      sodium_base642bin(marker->probe, sizeof marker->probe, json_string_value(probe),
                                        json_string_length(probe), NULL, &marker->probe_length, NULL, VARIANT) == 0 &&
                      marker->probe_length > 0);
}

static int parse(const json_t *root, struct marker *marker, struct error *e)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *id = json_string_value(json_object_get(root, "id"));
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    uint8_t binary[MARKER_ID_SIZE];
    if (!kind || strcmp(kind, KIND) != 0 || !id || !text_parse_hex(id, binary, sizeof binary))
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is not what makes an archive", KEY);
    if (format != FORMAT)
        return error_set(e, ERROR_UNSUPPORTED, "read '%s': its format is %lld, known is %d", KEY, (long long)format,
                         FORMAT);
    snprintf(marker->id, sizeof marker->id, "%s", id);
    return read_probe(root, marker) ? 0 : error_set(e, ERROR_INTEGRITY, "read '%s': its probe is damaged", KEY);
}

int marker_parse(const void *p, size_t n, struct marker *marker, struct error *e)
{
    if (json_limit_check(p, n, KEY, e) < 0)
        return -1;
    json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
    int result = parse(root, marker, e);
    json_decref(root);
    return result;
}

int marker_read(struct sink *sink, struct marker *marker, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MAXIMUM + 1};
    if (sink_get(sink, KEY, MAXIMUM, &text, e) < 0)
        return -1;
    return marker_parse(text.data, text.length, marker, e);
}

/* ---- the probe ---- */

static void print_plain(const struct marker *marker, struct bytes *plain)
{
    bytes_print(plain, "%s %s\n", KIND, marker->id);
}

int marker_prove(const struct marker *marker, struct pgp *pgp, struct error *e)
{
    AUTO_BYTES struct bytes wanted = {.maximum = PLAIN_MAX}, found = {.maximum = PLAIN_MAX};
    struct bytes probe = {.data = (uint8_t *)(uintptr_t)marker->probe, .length = marker->probe_length};
    if (marker->probe_length == 0) {
        error_set(e, ERROR_AUTH, "the archive was made without a passphrase, and one is configured");
        return error_hint(e, "an archive with a passphrase needs a place of its own: choose another, and cofre init");
    }
    print_plain(marker, &wanted);
    if (pgp_decrypt_bytes(pgp, &probe, &found, e) == 0 && found.length == wanted.length &&
        memcmp(found.data, wanted.data, wanted.length) == 0)
        return 0;
    if (e->class != ERROR_AUTH && e->class != ERROR_INTEGRITY)
        return -1;
    error_set(e, ERROR_AUTH, "the passphrase is not that of the archive: it does not open the probe in '%s'", KEY);
    return error_hint(e, "see passphrase: an archive keeps the one that it was made with");
}

static int make_probe(struct marker *marker, struct pgp *pgp, struct error *e)
{
    AUTO_BYTES struct bytes plain = {.maximum = PLAIN_MAX}, probe = {.maximum = MARKER_PROBE_MAX};
    marker->probe_length = 0;
    if (!pgp)
        return 0;
    print_plain(marker, &plain);
    if (pgp_encrypt_bytes(pgp, &plain, &probe, e) < 0)
        return -1;
    memcpy(marker->probe, probe.data, probe.length);
    marker->probe_length = probe.length;
    return 0;
}

/* ---- making ---- */

static int stop_at_first(void *context, const struct sink_object *object, struct error *e)
{
    snprintf(context, ARCHIVE_KEY_SIZE, "%s", object->key);
    return error_set(e, ERROR_CANCELLED, "there is something");
}

static int check_empty(struct sink *sink, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE] = "";
    if (sink_list(sink, "", stop_at_first, key, e) == 0)
        return 0;
    if (key[0] == '\0')
        return -1;
    if (strcmp(key, "config") == 0 || strncmp(key, "packs/", 6) == 0 || strncmp(key, "index/", 6) == 0)
        error_set(e, ERROR_EXISTS, "there is a repository in this place, not an archive");
    else
        error_set(e, ERROR_EXISTS, "the place is not empty: it holds '%s'", key);
    return error_hint(e, "an archive needs a place of its own: choose another");
}

static int put(struct sink *sink, const struct marker *marker, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MAXIMUM};
    char probe[sodium_base64_ENCODED_LEN(MARKER_PROBE_MAX, VARIANT)];
    bytes_print(&text, "{\n \"kind\": \"%s\",\n \"format\": %d,\n \"id\": \"%s\"", KIND, FORMAT, marker->id);
    if (marker->probe_length > 0)
        bytes_print(&text, ",\n \"probe\": \"%s\"",
                    sodium_bin2base64(probe, sizeof probe, marker->probe, marker->probe_length, VARIANT));
    bytes_print(&text, "\n}\n");
    if (bytes_check(&text, KEY, e) < 0 || sink_put(sink, KEY, text.data, text.length, true, e) < 0)
        return -1;
    return sink_sync(sink, e);
}

int marker_make(struct sink *sink, struct pgp *pgp, struct marker *marker, bool *existed, struct error *e)
{
    uint8_t id[MARKER_ID_SIZE];
    *existed = marker_read(sink, marker, e) == 0;
    if (!*existed) {
        if (e->class != ERROR_NOT_FOUND || check_empty(sink, e) < 0)
            return -1;
        randombytes_buf(id, sizeof id);
        text_hex(id, sizeof id, marker->id);
        if (make_probe(marker, pgp, e) < 0 || put(sink, marker, e) < 0 || marker_read(sink, marker, e) < 0)
            return -1;
    }
    return pgp ? marker_prove(marker, pgp, e) : 0;
}
