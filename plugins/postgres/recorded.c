#include "postgres/recorded.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"
#include "common/record.h"

#define KEY_KEPT 220 /* bytes of a key that is too long */

static bool is_plain(const char *name)
{
    return *name && !(*name >= '0' && *name <= '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static void put_name(FILE *out, const char *name)
{
    if (is_plain(name)) {
        fputs(name, out);
        return;
    }
    putc('"', out);
    for (size_t take; *name; name += take ? take : 1) {
        take = failure_character(name, strlen(name));
        if (*name == '"')
            fputs("\"\"", out);
        else if (take)
            fwrite(name, 1, take, out);
        else
            fprintf(out, "\\x%02x", (unsigned char)*name);
    }
    putc('"', out);
}

const char *recorded_prefix(const char *database, char out[RECORDED_PREFIX_MAX])
{
    FILE *to = fmemopen(out, RECORDED_PREFIX_MAX, "w");
    out[0] = '\0';
    if (to) {
        put_name(to, database);
        putc('.', to);
        fclose(to);
    }
    out[RECORDED_PREFIX_MAX - 1] = '\0';
    return out;
}

/* As many of the first n bytes as do not end within a character. */
static size_t whole_characters(const char *text, size_t n)
{
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

const char *recorded_rows_key(const char *prefix, const char *schema, const char *table, char out[RECORDED_KEY_MAX])
{
    char whole[1024] = "";
    FILE *to = fmemopen(whole, sizeof whole - 1, "w");
    if (to) {
        fprintf(to, "%srows.", prefix);
        put_name(to, schema);
        putc('.', to);
        put_name(to, table);
        fclose(to);
    }
    size_t n = strlen(whole);
    if (n < RECORDED_KEY_MAX)
        memcpy(out, whole, n + 1);
    else
        snprintf(out, RECORDED_KEY_MAX, "%.*s~%016llx", (int)whole_characters(whole, KEY_KEPT), whole,
                 (unsigned long long)record_hash(whole, n));
    return out;
}

static int compare(const void *one, const void *other)
{
    const struct recorded_pair *a = one, *b = other;
    return strcmp(a->key, b->key);
}

static int32_t add(struct recorded *r, const char *key, const char *value, struct cofre_error *error)
{
    struct recorded_pair *pairs = reallocarray(r->pairs, r->count + 1, sizeof *pairs);
    if (!pairs)
        return cofre_fail_errno(error, ENOMEM, "keep the facts of the snapshot");
    r->pairs = pairs;
    struct recorded_pair *pair = &pairs[r->count++];
    *pair = (struct recorded_pair){.key = strdup(key), .value = strdup(value)};
    return pair->key && pair->value ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "keep the facts of the snapshot");
}

int32_t recorded_load(struct recorded *r, struct cofre_call *call, struct cofre_error *error)
{
    *r = (struct recorded){.count = 0};
    if (COFRE_HAS(cofre, snapshot))
        snprintf(r->snapshot, sizeof r->snapshot, "%s", cofre->snapshot(call));
    if (!COFRE_HAS(cofre, recorded))
        return COFRE_OK;
    int32_t status = COFRE_OK;
    for (uint64_t i = 0; status == COFRE_OK; i++) {
        const char *key, *value;
        status = cofre->recorded(call, i, &key, &value, error);
        if (status == COFRE_OK)
            status = add(r, key, value, error);
    }
    if (status != COFRE_END)
        return status;
    if (r->count > 0)
        qsort(r->pairs, r->count, sizeof *r->pairs, compare);
    return COFRE_OK;
}

void recorded_free(struct recorded *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->pairs[i].key);
        free(r->pairs[i].value);
    }
    free(r->pairs);
    *r = (struct recorded){.count = 0};
}

const char *recorded_find(const struct recorded *r, const char *key)
{
    /* A cast that the comparison never writes through. */
    struct recorded_pair wanted = {.key = (char *)(uintptr_t)key};
    const struct recorded_pair *found = r->count ? bsearch(&wanted, r->pairs, r->count, sizeof wanted, compare) : NULL;
    return found ? found->value : NULL;
}
