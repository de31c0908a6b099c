#include "common/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static const struct {
    int errnum;
    int32_t class;
} classes[] = {
    {ENOENT, COFRE_E_NOT_FOUND},       {ESTALE, COFRE_E_NOT_FOUND},   {EACCES, COFRE_E_DENIED},
    {EPERM, COFRE_E_DENIED},           {EROFS, COFRE_E_DENIED},       {EEXIST, COFRE_E_EXISTS},
    {ENOSPC, COFRE_E_NO_SPACE},        {EDQUOT, COFRE_E_NO_SPACE},    {ENOMEM, COFRE_E_MEMORY},
    {EOPNOTSUPP, COFRE_E_UNSUPPORTED}, {ENOSYS, COFRE_E_UNSUPPORTED}, {EBUSY, COFRE_E_BUSY},
    {ETXTBSY, COFRE_E_BUSY},           {ETIMEDOUT, COFRE_E_TIMEOUT},  {EMFILE, COFRE_E_RETRY},
    {ENFILE, COFRE_E_RETRY},           {EAGAIN, COFRE_E_RETRY},
};

int32_t failure_class(int errnum)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (classes[i].errnum == errnum)
            return classes[i].class;
    return COFRE_E_PERMANENT;
}

__attribute__((format(printf, 2, 0))) static void set_text(struct cofre_error *error, const char *format,
                                                           va_list arguments)
{
    error->os_errno = 0;
    error->hint[0] = '\0';
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

int32_t failure_system(struct cofre_error *error, int errnum, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(error, format, arguments);
    va_end(arguments);
    error->os_errno = errnum;
    size_t used = strlen(error->message);
    /* The descriptive text is static: strerror would share a buffer with other threads. */
    const char *cause = strerrordesc_np(errnum);
    snprintf(error->message + used, sizeof error->message - used, ": %s", cause ? cause : "unknown error");
    return failure_class(errnum);
}

int32_t failure_set(struct cofre_error *error, int32_t error_class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set_text(error, format, arguments);
    va_end(arguments);
    return error_class;
}

void failure_hint(struct cofre_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->hint, sizeof error->hint, format, arguments);
    va_end(arguments);
}

size_t failure_character(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    bool control = p[0] == 0xc2 && p[1] < 0xa0;
    return overlong || outside || control ? 0 : need;
}

/* One character, or one byte escaped, to out[at], when it fits below limit. Returns the bytes read; 0 = full. */
static size_t quote_one(const char *p, size_t left, char *out, size_t *at, size_t limit)
{
    char piece[8];
    size_t take = failure_character(p, left), length = take;
    if (*p == '\\')
        length = (size_t)snprintf(piece, sizeof piece, "\\\\");
    else if (take)
        memcpy(piece, p, take);
    else
        length = (size_t)snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)*p);
    if (*at + length > limit)
        return 0;
    memcpy(out + *at, piece, length);
    *at += length;
    return take ? take : 1;
}

const char *failure_quote(const char *path, size_t length, char out[FAILURE_QUOTE_MAX])
{
    enum { HEAD = 140, TAIL_BYTES = 40 };
    size_t at = 0, i = 0, n;
    /* What is longer shows its beginning and its last bytes: the name matters most. */
    size_t limit = length > HEAD ? HEAD : FAILURE_QUOTE_MAX - 1;
    while (i < length && (n = quote_one(path + i, length - i, out, &at, limit)) > 0)
        i += n;
    if (i < length) {
        memcpy(out + at, "...", 3);
        at += 3;
        if (i < length - TAIL_BYTES)
            i = length - TAIL_BYTES;
        while (i < length && (n = quote_one(path + i, length - i, out, &at, FAILURE_QUOTE_MAX - 1)) > 0)
            i += n;
    }
    out[at] = '\0';
    return out;
}

void failure_about(struct cofre_error *error, const char *path, size_t length, const struct cofre_error *why)
{
    char quoted[FAILURE_QUOTE_MAX];
    int n = snprintf(error->message, sizeof error->message, "'%s': ", failure_quote(path, length, quoted));
    snprintf(error->message + n, sizeof error->message - (size_t)n, "%s", why->message);
    error->os_errno = why->os_errno;
    snprintf(error->hint, sizeof error->hint, "%s", why->hint);
}
