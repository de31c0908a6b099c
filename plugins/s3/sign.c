#include "s3/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH 32

static void to_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

static void digest(const EVP_MD *type, const void *p, size_t n, uint8_t *out)
{
    unsigned length = 0;
    /* Fails only when memory is short; then the signature is wrong, and the store refuses it. */
    if (EVP_Digest(p, n, out, &length, type, NULL) != 1)
        memset(out, 0, HASH);
}

void sign_hash(const void *p, size_t n, char hex[SIGN_HEX])
{
    uint8_t hash[HASH];
    digest(EVP_sha256(), p, n, hash);
    to_hex(hash, sizeof hash, hex);
}

void sign_md5(const void *p, size_t n, uint8_t md5[SIGN_MD5])
{
    uint8_t hash[HASH];
    digest(EVP_md5(), p, n, hash);
    memcpy(md5, hash, SIGN_MD5);
}

void sign_md5_text(const uint8_t md5[SIGN_MD5], char text[SIGN_MD5_TEXT])
{
    EVP_EncodeBlock((unsigned char *)text, md5, SIGN_MD5);
}

static void hmac(const uint8_t *key, size_t key_length, const char *text, uint8_t out[HASH])
{
    unsigned length = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)text, strlen(text), out, &length))
        memset(out, 0, HASH);
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c) != NULL);
}

bool sign_encode(const char *text, bool slash, char *out, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    for (const char *c = text; *c; c++) {
        if (at + 4 > size)
            return false;
        if (is_plain((unsigned char)*c) || (*c == '/' && !slash)) {
            out[at++] = *c;
            continue;
        }
        out[at++] = '%';
        out[at++] = digits[(unsigned char)*c >> 4];
        out[at++] = digits[*c & 15];
    }
    if (at >= size)
        return false;
    out[at] = '\0';
    return true;
}

/* "name=value" by name, then by value: so '=', which ends the name, comes before everything. */
static int compare_texts(const void *a, const void *b)
{
    const unsigned char *p = *(unsigned char *const *)a, *q = *(unsigned char *const *)b;
    for (; *p && *p == *q; p++, q++)
        continue;
    return (*p == '=' ? 0 : *p) - (*q == '=' ? 0 : *q);
}

static bool join(char *const *texts, size_t count, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(out + at, size - at, "%s%s", i ? "&" : "", texts[i]);
        if (n < 0 || (size_t)n >= size - at)
            return false;
        at += (size_t)n;
    }
    return true;
}

bool sign_query(const struct sign_pair *pairs, size_t count, char *out, size_t size)
{
    char *texts[SIGN_PAIRS_MAX];
    bool fits = count <= SIGN_PAIRS_MAX;
    size_t made = 0;
    for (; fits && made < count; made++) {
        char *text = malloc(SIGN_TEXT_MAX);
        texts[made] = text;
        fits = text && sign_encode(pairs[made].name, true, text, SIGN_TEXT_MAX - 1);
        if (!fits) {
            made++;
            break;
        }
        size_t n = strlen(text);
        text[n] = '=';
        fits = sign_encode(pairs[made].value ? pairs[made].value : "", true, text + n + 1, SIGN_TEXT_MAX - n - 1);
    }
    if (fits && made > 0)
        qsort(texts, made, sizeof texts[0], compare_texts);
    fits = fits && join(texts, made, out, size);
    for (size_t i = 0; i < made; i++)
        free(texts[i]);
    return fits;
}

/* ---- signing ----------------------------------------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct sign_pair *)a)->name, ((const struct sign_pair *)b)->name);
}

/* A value without blanks around it. */
static int trimmed(const char *value, const char **from)
{
    *from = value + strspn(value, " \t");
    size_t n = strlen(*from);
    while (n > 0 && ((*from)[n - 1] == ' ' || (*from)[n - 1] == '\t'))
        n--;
    return (int)n;
}

struct writer {
    char *out;
    size_t size, at;
    bool full;
};

static void put(struct writer *w, const char *text, int length)
{
    int n = snprintf(w->out + w->at, w->size - w->at, "%.*s", length, text);
    if (n < 0 || (size_t)n >= w->size - w->at)
        w->full = true;
    else
        w->at += (size_t)n;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, text, (int)strlen(text));
}

/* The canonical request, hashed; names of the signed headers to signed_names. */
static bool canonical_hash(const struct sign_request *r, char *signed_names, size_t names_size, char hash[SIGN_HEX])
{
    char text[3 * SIGN_TEXT_MAX];
    struct sign_pair headers[SIGN_PAIRS_MAX];
    if (r->header_count > SIGN_PAIRS_MAX)
        return false;
    memcpy(headers, r->headers, r->header_count * sizeof headers[0]);
    qsort(headers, r->header_count, sizeof headers[0], compare_pairs);
    struct writer w = {.out = text, .size = sizeof text}, names = {.out = signed_names, .size = names_size};
    const char *const first[] = {r->method, "\n", r->path, "\n", r->query, "\n"};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        put_text(&w, first[i]);
    for (size_t i = 0; i < r->header_count; i++) {
        const char *value;
        int length = trimmed(headers[i].value, &value);
        put_text(&names, i ? ";" : "");
        put_text(&names, headers[i].name);
        put_text(&w, headers[i].name);
        put_text(&w, ":");
        put(&w, value, length);
        put_text(&w, "\n");
    }
    const char *const last[] = {"\n", signed_names, "\n", r->payload_hash};
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++)
        put_text(&w, last[i]);
    sign_hash(text, w.at, hash);
    return !w.full && !names.full;
}

static bool derive_key(const char *secret, const char *date, const char *region, uint8_t key[HASH])
{
    char first[300], day[9];
    int n = snprintf(first, sizeof first, "AWS4%s", secret);
    snprintf(day, sizeof day, "%.8s", date);
    if (n < 0 || (size_t)n >= sizeof first)
        return false;
    hmac((const uint8_t *)first, (size_t)n, day, key);
    OPENSSL_cleanse(first, sizeof first);
    const char *const rest[] = {region, "s3", "aws4_request"};
    for (size_t i = 0; i < 3; i++) {
        uint8_t next[HASH];
        hmac(key, HASH, rest[i], next);
        memcpy(key, next, HASH);
    }
    return true;
}

static void finish(struct sign_state *state, const char *text)
{
    uint8_t signature[HASH];
    hmac(state->key, HASH, text, signature);
    to_hex(signature, HASH, state->signature);
}

bool sign_request(const struct sign_keys *keys, const struct sign_request *request, struct sign_state *state, char *out,
                  size_t size)
{
    char hash[SIGN_HEX], names[1024], text[512];
    int n = snprintf(state->scope, sizeof state->scope, "%.8s/%s/s3/aws4_request", request->date, request->region);
    snprintf(state->date, sizeof state->date, "%s", request->date);
    if (n < 0 || (size_t)n >= sizeof state->scope || !canonical_hash(request, names, sizeof names, hash) ||
        !derive_key(keys->secret_key, request->date, request->region, state->key))
        return false;
    snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", state->date, state->scope, hash);
    finish(state, text);
    n = snprintf(out, size, "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s", keys->access_key,
                 state->scope, names, state->signature);
    return n > 0 && (size_t)n < size;
}

void sign_piece(struct sign_state *state, const void *p, size_t n)
{
    char empty[SIGN_HEX], hash[SIGN_HEX], text[512];
    sign_hash("", 0, empty);
    sign_hash(p, n, hash);
    snprintf(text, sizeof text, "AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n%s\n%s\n%s", state->date, state->scope,
             state->signature, empty, hash);
    finish(state, text);
}
