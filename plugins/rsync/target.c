#include "rsync/target.h"

#include <stdio.h>
#include <string.h>

#include "common/failure.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define URL "rsync://"

static int32_t refuse_with(const char *text, const char *why, const char *hint, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    int32_t class = cofre_fail(error, COFRE_E_CONFIG, "target '%s': %s", failure_quote(text, strlen(text), shown), why);
    cofre_hint(error, "%s", hint);
    return class;
}

static int32_t refuse(const char *text, const char *why, struct cofre_error *error)
{
    return refuse_with(text, why, "write user@host:/path, or rsync://user@host/module/path for an rsync daemon", error);
}

/* What other programs take for a target: whoever writes it is told how it is written here. */
static int32_t refuse_foreign(const char *text, struct cofre_error *error)
{
    size_t before = strcspn(text, ":/[");
    if (text[0] == '/' || text[0] == '.')
        return refuse_with(text, "it names no host",
                           "for a directory of this machine, or one that is mounted here, take plugin = local", error);
    if (strncmp(text + before, "::", 2) == 0)
        return refuse_with(text, "an rsync daemon is not named so", "write rsync://user@host/module/path", error);
    if (strncmp(text, "ssh://", 6) == 0 || strncmp(text, "sftp://", 7) == 0)
        return refuse_with(text, "it is an address of another form",
                           "write user@host:/path, and the port of sshd as ssh_port = PORT", error);
    if (strncmp(text + before, "://", 3) == 0)
        return refuse(text, "rsync knows no such kind of address", error);
    return COFRE_OK;
}

/* Is text, of length bytes, a name that no program takes for an option? */
static bool is_name(const char *text, size_t length, const char *allowed)
{
    if (length == 0 || text[0] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!strchr(allowed, text[i]))
            return false;
    return true;
}

/* host, [v6], with :port after it when a port may be there. */
static bool is_host(const char *text, size_t length, bool port)
{
    const char *end = text + length;
    if (length > 0 && text[0] == '[') {
        const char *closing = memchr(text, ']', length);
        if (!closing || !is_name(text + 1, (size_t)(closing - text) - 1, "abcdefABCDEF:." DIGITS))
            return false;
        text = closing + 1;
    } else {
        size_t host = strcspn(text, ":");
        if (host > length)
            host = length;
        if (!is_name(text, host, LETTERS DIGITS "._-"))
            return false;
        text += host;
    }
    if (text == end)
        return true;
    return port && *text == ':' && is_name(text + 1, (size_t)(end - text) - 1, DIGITS);
}

static bool is_login(const char *text, size_t length, bool port)
{
    const char *at = memchr(text, '@', length);
    if (!at)
        return is_host(text, length, port);
    size_t user = (size_t)(at - text);
    return is_name(text, user, LETTERS DIGITS "._-+") && is_host(at + 1, length - user - 1, port);
}

static const char *path_fault(const char *path)
{
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "a control character is in the path";
        if (strchr("*?[]\\", *p))
            return "rsync would expand one of the characters *?[]\\ in the path";
    }
    for (const char *p = strstr(path, "/.."); p; p = strstr(p + 1, "/.."))
        if (p[3] == '\0' || p[3] == '/')
            return "'..' is in the path";
    return NULL;
}

/* path: in text, at its first '/' after the host. */
static void split(const char *text, const char *path, struct target *target)
{
    const char *slash = text[strlen(text) - 1] == '/' ? "" : "/";
    const char *module_end = target->daemon ? strchr(path + 1, '/') : NULL;
    snprintf(target->spec, sizeof target->spec, "%s%s", text, slash);
    snprintf(target->base, sizeof target->base, "%s", target->spec);
    snprintf(target->path, sizeof target->path, "%s%s", target->daemon ? module_end ? module_end : "" : path, slash);
    if (!module_end || module_end[1] == '\0')
        return;
    snprintf(target->base, sizeof target->base, "%.*s/", (int)(module_end - text), text);
    snprintf(target->inner, sizeof target->inner, "%s%s./", module_end + 1, slash);
}

int32_t target_parse(const char *text, struct target *target, struct cofre_error *error)
{
    *target = (struct target){.daemon = strncmp(text, URL, strlen(URL)) == 0};
    if (strlen(text) > TARGET_MAX - 2)
        return refuse(text, "it is too long", error);
    int32_t foreign = target->daemon ? COFRE_OK : refuse_foreign(text, error);
    if (foreign)
        return foreign;
    const char *from = target->daemon ? text + strlen(URL) : text;
    const char *path = strchr(from, '/');
    size_t length = path ? (size_t)(path - from) : 0;
    if (!path || (target->daemon ? path[1] == '\0' || path[1] == '/' : length == 0 || path[-1] != ':'))
        return refuse(text, target->daemon ? "no module is named" : "no absolute path is named", error);
    if (!target->daemon)
        length--;
    if (!is_login(from, length, target->daemon))
        return refuse(text, "there is no valid user or host in it", error);
    const char *fault = path_fault(path);
    if (fault)
        return refuse(text, fault, error);
    if (!target->daemon)
        snprintf(target->login, sizeof target->login, "%.*s", (int)length, from);
    split(text, path, target);
    return COFRE_OK;
}
