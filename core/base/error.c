#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int exit_status;
} classes[] = {
    [ERROR_NONE] = {"none", 1}, /* a failure that nobody explained is one all the same */
    [ERROR_RETRY] = {"retry", 1},
    [ERROR_PERMANENT] = {"permanent", 1},
    [ERROR_NOT_FOUND] = {"not found", 1},
    [ERROR_EXISTS] = {"exists", 1},
    [ERROR_AUTH] = {"auth", 12},
    [ERROR_DENIED] = {"denied", 1},
    [ERROR_LOCKED] = {"locked", 1},
    [ERROR_NO_SPACE] = {"no space", 1},
    [ERROR_INTEGRITY] = {"integrity", 13},
    [ERROR_CONFIG] = {"config", 78},
    [ERROR_UNSUPPORTED] = {"unsupported", 1},
    [ERROR_RANGE] = {"range", 1},
    [ERROR_BUSY] = {"busy", 11},
    [ERROR_CHANGED] = {"changed", 1},
    [ERROR_CANCELLED] = {"cancelled", 1},
    [ERROR_TIMEOUT] = {"timeout", 1},
    [ERROR_MEMORY] = {"memory", 1},
    [ERROR_BUG] = {"bug", 1},
    [ERROR_USAGE] = {"usage", 2},
    [ERROR_NOT_INITIALISED] = {"not initialised", 10},
    [ERROR_PLUGIN] = {"plugin", 1},
    [ERROR_SIGNER] = {"signer", 12},
};

#define CLASS_COUNT (sizeof classes / sizeof classes[0])

__attribute__((format(printf, 4, 0))) static void fill(struct error *e, enum error_class class, int errnum,
                                                       const char *format, va_list arguments)
{
    /* By way of a copy: an argument may be e's own message or hint. */
    char text[sizeof e->message];
    vsnprintf(text, sizeof text, format, arguments);
    e->class = class;
    e->os_errno = errnum;
    e->retry_after = 0;
    e->subject[0] = '\0';
    e->hint[0] = '\0';
    memcpy(e->message, text, strlen(text) + 1);
}

int error_set(struct error *e, enum error_class class, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(e, class, 0, format, arguments);
    va_end(arguments);
    return -1;
}

int error_system(struct error *e, int errnum, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(e, error_class_of_errno(errnum), errnum, format, arguments);
    va_end(arguments);
    char text[128];
    const char *cause = strerror_r(errnum, text, sizeof text);
    size_t used = strlen(e->message);
    snprintf(e->message + used, sizeof e->message - used, ": %s", cause);
    return -1;
}

static void put_in_front(struct error *e, const char *context)
{
    size_t length = strlen(context), keep = strlen(e->message);
    if (length > sizeof e->message - 1)
        length = sizeof e->message - 1;
    if (keep > sizeof e->message - 1 - length)
        keep = sizeof e->message - 1 - length;
    memmove(e->message + length, e->message, keep);
    memcpy(e->message, context, length);
    e->message[length + keep] = '\0';
}

/* The subject is the message's, which has one of its own no more. */
static void fold_subject(struct error *e)
{
    if (e->subject[0] == '\0')
        return;
    put_in_front(e, ": ");
    put_in_front(e, e->subject);
    e->subject[0] = '\0';
}

int error_context(struct error *e, const char *format, ...)
{
    char context[sizeof e->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    put_in_front(e, context);
    return -1;
}

int error_consequence(struct error *e, const char *format, ...)
{
    char context[sizeof e->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    fold_subject(e);
    put_in_front(e, context);
    return -1;
}

int error_subject(struct error *e, const char *kind, const char *name)
{
    char subject[sizeof e->subject];
    if (kind)
        snprintf(subject, sizeof subject, "%s '%s'", kind, name);
    else
        snprintf(subject, sizeof subject, "%s", name);
    if (strcmp(e->subject, subject) == 0)
        return -1;
    fold_subject(e);
    memcpy(e->subject, subject, strlen(subject) + 1);
    return -1;
}

const char *error_text(const struct error *e, char out[ERROR_TEXT_MAX])
{
    snprintf(out, ERROR_TEXT_MAX, "%s%s%s", e->subject, e->subject[0] ? ": " : "", e->message);
    return out;
}

int error_hint(struct error *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof e->hint];
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(e->hint, text, strlen(text) + 1);
    return -1;
}

int error_memory(struct error *e)
{
    return error_set(e, ERROR_MEMORY, "out of memory");
}

enum error_class error_class_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERROR_NO_SPACE;
    case ENOMEM:
        return ERROR_MEMORY;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    case EBUSY:
        return ERROR_BUSY;
    case ENOSYS:
    case EOPNOTSUPP:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_PERMANENT;
    }
}

const char *error_class_name(enum error_class class)
{
    return (size_t) class < CLASS_COUNT && classes[class].name ? classes[class].name : "unknown";
}

int error_exit_status(enum error_class class)
{
    return (size_t) class < CLASS_COUNT && classes[class].name ? classes[class].exit_status : 1;
}

void error_assert_failed(const char *condition, const char *file, int line)
{
    char text[512];
    int length =
        snprintf(text, sizeof text, "cofre: internal error: %s (%s:%d); please report this\n", condition, file, line);
    if (length >= (int)sizeof text)
        length = (int)sizeof text - 1;
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        abort();
    abort();
}
