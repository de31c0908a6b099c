/* A pattern, a newline, and a path that somebody else has chosen: it is judged in a time that its length bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/pattern.h"

const struct cofre_host *cofre; /* what a plugin has; nothing that is judged calls it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct pattern_set *set, const char *path, size_t length)
{
    static const struct pattern_set none;
    bool named = pattern_matches(set, path, length, false);
    enum pattern_verdict verdict = pattern_judge(set, &none, path, length, false, false);
    if (named != (verdict == PATTERN_LEAVE_OUT))
        abort();
    (void)pattern_matches(set, path, length, true);
    (void)pattern_leads_below(set, path, length);
    (void)pattern_reaches(set, &none, path, length, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t length = end ? (size_t)(end - data) : size, left = end ? size - length - 1 : 0;
    struct pattern_set set;
    struct cofre_error error = {.struct_size = sizeof error};
    char *pattern = malloc(length + 1), *path = malloc(left + 1);
    if (!pattern || !path)
        abort();
    if (length > 0)
        memcpy(pattern, data, length);
    if (left > 0)
        memcpy(path, end + 1, left);
    pattern[length] = path[left] = '\0';
    const char *const items[] = {pattern};
    const struct cofre_list list = {.items = items, .count = 1};
    if (pattern_compile(&set, "exclude", &list, "/srv/app", &error) == COFRE_OK) {
        if (strlen(path) == left && left > 0)
            judge(&set, path, left);
        pattern_free(&set);
    }
    free(pattern);
    free(path);
    return 0;
}
