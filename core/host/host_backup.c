#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/levels.h"
#include "host/previous.h"
#include "snapshot/path.h"

#define HERE HOST_IN(WIRE_BACKUP)
#define FACTS (HOST_IN(WIRE_BACKUP) | HOST_IN(WIRE_FACTS))

/* Attributes by their stride into our own array. NULL, or what is wrong with them. */
static const char *copy_attributes(struct host *host, const struct cofre_entry *from, struct snapshot_entry *to)
{
    size_t count = from->attribute_count;
    if (count == 0)
        return NULL;
    if (!from->attributes || count > WIRE_MAX_ATTRIBUTES || from->attribute_stride < LEVELS_ATTRIBUTE)
        return "announced an entry with a malformed list of attributes";
    struct snapshot_attribute *array = realloc(host->attributes, count * sizeof *array);
    if (!array)
        return "out of memory for the attributes of an entry";
    host->attributes = array;
    const uint8_t *p = (const uint8_t *)from->attributes;
    for (size_t i = 0; i < count; i++, p += from->attribute_stride) {
        struct cofre_attribute one;
        levels_copy(&one, sizeof one, p, from->attribute_stride);
        size_t n = one.name ? strnlen(one.name, WIRE_MAX_NAME + 1) : 0;
        if (n == 0 || n > WIRE_MAX_NAME || one.length > WIRE_MAX_VALUE || (one.length && !one.value))
            return "announced an entry with an attribute without name, or one that is too long";
        array[i] = (struct snapshot_attribute){.name = one.name, .value = one.value, .length = one.length};
    }
    to->attributes = array;
    to->attribute_count = count;
    return NULL;
}

static bool text_ends(const char *text, size_t length)
{
    return text && length <= PATH_LONGEST && text[length] == '\0';
}

static const char *copy_entry(struct cofre_call *call, const struct cofre_entry *announced, struct snapshot_entry *to)
{
    struct cofre_entry from;
    if (announced->struct_size < LEVELS_ENTRY)
        return "announced an entry whose struct_size is smaller than that of its level";
    levels_copy(&from, sizeof from, announced, announced->struct_size);
    if (from.flags & ~COFRE_ENTRY_RACY)
        return "announced an entry with flags that there are not";
    if (!text_ends(from.path, from.path_length))
        return "announced an entry without a path that ends with NUL";
    if (from.link_length && !text_ends(from.link, from.link_length))
        return "announced an entry without a link target that ends with NUL";
    if ((from.user && strnlen(from.user, WIRE_MAX_NAME + 1) > WIRE_MAX_NAME) ||
        (from.group && strnlen(from.group, WIRE_MAX_NAME + 1) > WIRE_MAX_NAME))
        return "announced an entry with the name of a user or group that is too long";
    if (from.fingerprint_length > COFRE_MAX_FINGERPRINT || (from.fingerprint_length && !from.fingerprint))
        return "announced an entry with a fingerprint that is too long";
    *to = (struct snapshot_entry){.kind = from.kind,
                                  .flags = from.flags,
                                  .path = from.path,
                                  .path_length = from.path_length,
                                  .size = from.size,
                                  .mtime = from.mtime,
                                  .mode = from.mode,
                                  .uid = from.uid,
                                  .gid = from.gid,
                                  .device_major = from.device_major,
                                  .device_minor = from.device_minor,
                                  .user = from.user,
                                  .group = from.group,
                                  .link = from.link_length ? from.link : NULL,
                                  .link_length = from.link_length};
    if (from.fingerprint_length && !(from.flags & COFRE_ENTRY_RACY)) {
        crypto_shorthash_siphashx24(to->fingerprint, from.fingerprint, from.fingerprint_length, call->fingerprint_key);
        to->has_fingerprint = 1;
    }
    return copy_attributes(call->host, &from, to);
}

/* Has the previous snapshot an entry of this path and fingerprint? Then tell the engine its number. */
static int32_t look_up(struct cofre_call *call, const char *path, size_t length, const uint8_t *fingerprint,
                       struct cofre_error *error)
{
    struct error why;
    uint64_t ordinal;
    bool found;
    if (previous_find(call->previous, path, length, fingerprint, &found, &ordinal, &why) < 0) {
        /* Without it everything is read again: slower, and as safe. Said once. */
        host_table.log(call, COFRE_LOG_WARNING, why.message);
        previous_close(call->previous);
        call->previous = NULL;
        return COFRE_OK;
    }
    if (!found)
        return COFRE_OK;
    bytes_put_u64(host_frame(call), ordinal);
    int32_t class = host_send(call, WIRE_UNCHANGED, error);
    if (class != COFRE_OK)
        return class;
    grammar_unchanged(&call->host->grammar, path, length);
    return COFRE_UNCHANGED;
}

/* Whatever is wrong with the question is said when the entry is announced: the answer is then just "no". */
int32_t host_backup_unchanged(struct cofre_call *call, const char *path, size_t length, const void *fingerprint,
                              size_t fingerprint_length)
{
    struct cofre_error error = {.struct_size = sizeof error};
    uint8_t hash[16];
    if (host_enter(call, HERE, "unchanged", &error) != COFRE_OK)
        return COFRE_OK;
    if (!path) {
        host_broke(call, &error, "asked about an entry without a path");
        return COFRE_OK;
    }
    if (!call->previous || fingerprint_length == 0 || fingerprint_length > COFRE_MAX_FINGERPRINT || !fingerprint ||
        !path_valid(path, length) || call->host->grammar.open || !grammar_follows(&call->host->grammar, path, length))
        return COFRE_OK;
    crypto_shorthash_siphashx24(hash, fingerprint, fingerprint_length, call->fingerprint_key);
    return look_up(call, path, length, hash, &error) == COFRE_UNCHANGED ? COFRE_UNCHANGED : COFRE_OK;
}

int32_t host_backup_entry(struct cofre_call *call, const struct cofre_entry *announced, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "entry", error);
    if (class != COFRE_OK)
        return class;
    if (!announced)
        return host_broke(call, error, "announced an entry that is NULL");
    struct snapshot_entry entry;
    const char *what = copy_entry(call, announced, &entry);
    if (what)
        return host_broke(call, error, "%s", what);
    struct error why;
    if (grammar_entry(&call->host->grammar, &entry, &why) < 0)
        return host_fault(call, &why, error);
    wire_put_entry(host_frame(call), &entry);
    class = host_send(call, WIRE_ENTRY, error);
    if (class == COFRE_E_RANGE)
        grammar_withdraw(&call->host->grammar); /* nothing was announced; the plugin may call missing() */
    return class;
}

int32_t host_backup_end(struct cofre_call *call, int32_t result, const struct cofre_error *why,
                        struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "end", error);
    if (class != COFRE_OK)
        return class;
    if (!host_is_result(result))
        return host_broke(call, error, "ended an entry with %d, which is no result", (int)result);
    struct error because;
    if (grammar_end(&call->host->grammar, &because) < 0)
        return host_fault(call, &because, error);
    host_error(result, why, &because);
    struct bytes *frame = host_frame(call);
    bytes_put_u64(frame, call->host->grammar.content);
    wire_put_error(frame, &because);
    return host_send(call, WIRE_END, error);
}

int32_t host_backup_restart(struct cofre_call *call, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "restart", error);
    if (class != COFRE_OK)
        return class;
    struct error why;
    if (grammar_restart(&call->host->grammar, &why) < 0)
        return host_fault(call, &why, error);
    host_frame(call);
    return host_send(call, WIRE_RESTART, error);
}

int32_t host_backup_missing(struct cofre_call *call, const char *path, size_t length, int32_t result,
                            const struct cofre_error *why, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "missing", error);
    if (class != COFRE_OK)
        return class;
    if (!path || length > PATH_LONGEST || memchr(path, '\0', length))
        return host_broke(call, error, "named what is no path as missing");
    if (!host_is_result(result))
        return host_broke(call, error, "named something as missing with %d, which is no result", (int)result);
    struct error because;
    host_error(result == COFRE_OK ? COFRE_E_PERMANENT : result, why, &because);
    struct bytes *frame = host_frame(call);
    wire_put_text(frame, path, length);
    wire_put_error(frame, &because);
    return host_send(call, WIRE_MISSING, error);
}

int32_t host_backup_fact(struct cofre_call *call, const char *key, const char *value, uint32_t flags,
                         struct cofre_error *error)
{
    int32_t class = host_enter(call, FACTS, "fact", error);
    if (class != COFRE_OK)
        return class;
    size_t n = key ? strnlen(key, WIRE_MAX_NAME + 1) : 0;
    if (n == 0 || n > WIRE_MAX_NAME || !value || strnlen(value, WIRE_MAX_VALUE + 1) > WIRE_MAX_VALUE)
        return host_broke(call, error, "said a fact without a key, or one that is too long");
    if (flags & ~(COFRE_FACT_IDENTITY | COFRE_FACT_MUST_MATCH | COFRE_FACT_MAY_GROW))
        return host_broke(call, error, "said a fact with flags that there are not");
    if ((flags & COFRE_FACT_MUST_MATCH) && (flags & COFRE_FACT_MAY_GROW))
        return host_broke(call, error, "said of a fact that it must match, and that it may grow");
    struct bytes *frame = host_frame(call);
    wire_put_string(frame, key);
    wire_put_string(frame, value);
    bytes_put_u32(frame, flags);
    return host_send(call, WIRE_FACT, error);
}

int32_t host_backup_left_out(struct cofre_call *call, const char *name, size_t length, const char *why,
                             struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "left_out", error);
    if (class != COFRE_OK)
        return class;
    if (!name || length == 0 || length > PATH_LONGEST || memchr(name, '\0', length))
        return host_broke(call, error, "left out something without a name, or with one that is too long");
    if (!why || !why[0])
        return host_broke(call, error, "left something out without saying why");
    struct bytes *frame = host_frame(call);
    wire_put_text(frame, name, length);
    wire_put_text(frame, why, strnlen(why, sizeof error->message));
    return host_send(call, WIRE_LEFT_OUT, error);
}
