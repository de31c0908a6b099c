#include "s3/removal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "s3/object.h"
#include "s3/request.h"
#include "s3/sign.h"

struct removal {
    struct store *store;
    const char *const *keys;
    size_t count;
    bool *refused; /* by key; the store says why when it is asked for this one alone */
};

static void write_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("&<>", *text))
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
    }
}

/* Quiet: the answer has what was refused, and nothing of what is gone. */
static char *write_body(const struct removal *r, size_t *length)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (!out)
        return NULL;
    fputs("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>", out);
    for (size_t i = 0; i < r->count; i++) {
        fputs("<Object><Key>", out);
        write_escaped(out, r->store->prefix);
        write_escaped(out, r->keys[i]);
        fputs("</Key></Object>", out);
    }
    fputs("</Delete>", out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int32_t take(void *context, const char *path, const char *text, struct cofre_error *error)
{
    struct removal *r = context;
    size_t n = strlen(r->store->prefix);
    if (strcmp(path, "DeleteResult/Error/Key") != 0)
        return COFRE_OK;
    for (size_t i = 0; i < r->count; i++)
        if (strncmp(text, r->store->prefix, n) == 0 && strcmp(text + n, r->keys[i]) == 0) {
            r->refused[i] = true;
            return COFRE_OK;
        }
    return cofre_fail(error, COFRE_E_INTEGRITY, "the store speaks of an object that it was not asked for");
}

static int32_t remove_at_once(struct removal *r, struct cofre_call *call, struct cofre_error *error)
{
    size_t n;
    uint8_t md5[SIGN_MD5];
    char md5_text[SIGN_MD5_TEXT];
    char *body = write_body(r, &n);
    if (!body)
        return cofre_fail(error, COFRE_E_MEMORY, "remove %zu objects: out of memory", r->count);
    sign_md5(body, n, md5);
    sign_md5_text(md5, md5_text);
    struct request request = {.method = "POST",
                              .what = "remove objects of",
                              .query = {{"delete", NULL}},
                              .headers = {{"content-md5", md5_text}},
                              .content = body,
                              .length = (int64_t)n};
    struct answer answer;
    int32_t result = request_run(r->store, call, &request, &answer, error);
    if (!result)
        result = answer_read(r->store, &request, &answer, "DeleteResult", take, r, error);
    request_free(&answer);
    free(body);
    return result;
}

int32_t removal_run(struct store *store, struct cofre_call *call, const char *const *keys, size_t count,
                    struct cofre_error *error)
{
    struct removal r = {.store = store, .keys = keys, .count = count, .refused = calloc(count, sizeof *r.refused)};
    if (!r.refused)
        return cofre_fail(error, COFRE_E_MEMORY, "remove %zu objects: out of memory", count);
    int32_t result = remove_at_once(&r, call, error);
    /* Not every store can. */
    bool none = result == COFRE_E_UNSUPPORTED;
    if (none)
        result = COFRE_OK;
    for (size_t i = 0; !result && i < count; i++)
        if (none || r.refused[i])
            result = object_remove(store, call, keys[i], error);
    free(r.refused);
    return result;
}
