#include "config/expand.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"

#define VARIABLE_MAX 255

/* *at is behind "${"; afterwards behind '}'. */
static int put_variable(struct bytes *to, const char **at, struct error *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    char name[VARIABLE_MAX + 1];
    size_t n = strspn(*at, letters);
    if (n == 0 || n > VARIABLE_MAX || (*at)[n] != '}' || ((*at)[0] >= '0' && (*at)[0] <= '9')) {
        error_set(e, ERROR_CONFIG, "'${' is not followed by the name of a variable and '}'");
        return error_hint(e, "write $${ for a literal ${");
    }
    memcpy(name, *at, n);
    name[n] = '\0';
    *at += n + 1;
    const char *value = getenv(name);
    if (!value || !*value)
        return error_set(e, ERROR_CONFIG, "the environment variable '%s' is %s", name, value ? "empty" : "not set");
    bytes_put(to, value, strlen(value));
    return 0;
}

static int put_all(struct bytes *to, const char *at, struct error *e)
{
    while (*at) {
        if (strncmp(at, "$${", 3) == 0) {
            bytes_put(to, "${", 2);
            at += 3;
        } else if (strncmp(at, "${", 2) == 0) {
            at += 2;
            if (put_variable(to, &at, e) < 0)
                return -1;
        } else {
            bytes_put(to, at++, 1);
        }
    }
    bytes_put_u8(to, 0);
    if (to->too_large)
        return error_set(e, ERROR_CONFIG, "the value is longer than %d bytes", EXPAND_MAX);
    return to->failed ? error_memory(e) : 0;
}

int expand_value(const char *text, char **out, struct error *e)
{
    struct bytes to = {.maximum = EXPAND_MAX + 1};
    /* Room from the start: a buffer that moves would leave copies of what may be a secret. */
    if (!bytes_reserve(&to, to.maximum))
        return error_memory(e);
    int result = put_all(&to, text, e);
    *out = result == 0 ? text_copy((const char *)to.data) : NULL;
    if (result == 0 && !*out)
        result = error_memory(e);
    explicit_bzero(to.data, to.length);
    bytes_free(&to);
    return result;
}
