#include "config/expand.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "config/environment.h"

#define VARIABLE_MAX 255

struct expansion {
    struct bytes to;
    bool private_value;
};

static int bad_variable(struct error *e)
{
    error_set(e, ERROR_CONFIG, "'${' is not followed by the name of a variable and '}'");
    return error_hint(e, "write $${ for a literal ${");
}

/* *at is behind "${"; afterwards behind '}'. */
static int put_variable(struct expansion *x, const char **at, struct error *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    char name[VARIABLE_MAX + 1];
    size_t n = strspn(*at, letters), otherwise = 0;
    bool has_default = strncmp(*at + n, ":-", 2) == 0;
    if (has_default)
        otherwise = strcspn(*at + n + 2, "}");
    const char *end = *at + n + (has_default ? 2 + otherwise : 0);
    if (n == 0 || n > VARIABLE_MAX || *end != '}' || ((*at)[0] >= '0' && (*at)[0] <= '9'))
        return bad_variable(e);
    memcpy(name, *at, n);
    name[n] = '\0';
    const char *value, *fallback = *at + n + 2;
    bool private_value;
    *at = end + 1;
    if (environment_find(name, &value, &private_value, e) == 0) {
        bytes_put(&x->to, value, strlen(value));
        x->private_value = x->private_value && private_value;
        return 0;
    }
    if (!has_default || e->class != ERROR_NOT_FOUND)
        return -1;
    bytes_put(&x->to, fallback, otherwise);
    return 0;
}

static int put_all(struct expansion *x, const char *at, struct error *e)
{
    struct bytes *to = &x->to;
    while (*at) {
        if (strncmp(at, "$${", 3) == 0) {
            bytes_put(to, "${", 2);
            at += 3;
        } else if (strncmp(at, "${", 2) == 0) {
            at += 2;
            if (put_variable(x, &at, e) < 0)
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

int expand_value(const char *text, char **out, bool *private_value, struct error *e)
{
    struct expansion x = {.to = {.maximum = EXPAND_MAX + 1}, .private_value = true};
    /* Room from the start: a buffer that moves would leave copies of what may be a secret. */
    if (!bytes_reserve(&x.to, x.to.maximum))
        return error_memory(e);
    int result = put_all(&x, text, e);
    *out = result == 0 ? text_copy((const char *)x.to.data) : NULL;
    *private_value = x.private_value;
    if (result == 0 && !*out)
        result = error_memory(e);
    explicit_bzero(x.to.data, x.to.length);
    bytes_free(&x.to);
    return result;
}
