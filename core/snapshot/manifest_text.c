#include "snapshot/manifest_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

static bool is_plain(char c)
{
    return c >= 0x20 && c <= 0x7e && c != '%' && c != '"' && c != '\\';
}

char *manifest_text_escape(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = malloc(3 * strlen(text) + 1), *to = out;
    for (; out && *text; text++) {
        if (is_plain(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[(unsigned char)*text >> 4];
        *to++ = digits[(unsigned char)*text & 15];
    }
    if (out)
        *to = '\0';
    return out;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool manifest_text_unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (is_plain(*from)) {
            *to++ = *from;
            continue;
        }
        int high = *from == '%' ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;
        char c = (char)(high * 16 + low);
        if (low < 0 || c == '\0' || is_plain(c))
            return false;
        *to++ = c;
        from += 2;
    }
    *to = '\0';
    return true;
}

json_t *manifest_text_list(char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        AUTO_FREE char *text = manifest_text_escape(texts[i]);
        if (!text || json_array_append_new(list, json_string(text)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int take_texts(const json_t *list, char **out, struct error *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && !(out[i] = text_copy(text)))
            return error_memory(e);
        if (!text || !manifest_text_unescape(out[i]))
            return error_set(e, ERROR_INTEGRITY, "text %zu of the list is malformed", i + 1);
    }
    return 0;
}

int manifest_text_unlist(const json_t *list, char ***texts, size_t *count, struct error *e)
{
    if (!json_is_array(list))
        return error_set(e, ERROR_INTEGRITY, "not a list of texts");
    char **out = calloc(json_array_size(list) + 1, sizeof *out);
    if (!out)
        return error_memory(e);
    if (take_texts(list, out, e) < 0) {
        for (size_t i = 0; out[i]; i++)
            free(out[i]);
        free(out);
        return -1;
    }
    *texts = out;
    *count = json_array_size(list);
    return 0;
}
