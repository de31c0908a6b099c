#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"

static const char *const call_names[WIRE_CALLS] = {
    [WIRE_LOAD] = "load",
    [WIRE_OPEN] = "open",
    [WIRE_CLOSE] = "close",
    [WIRE_CHECK] = "check",
    [WIRE_BACKUP] = "backup",
    [WIRE_RESTORE] = "restore",
    [WIRE_FREEZE] = "freeze",
    [WIRE_THAW] = "thaw",
    [WIRE_ESTIMATE] = "estimate",
    [WIRE_SCRATCH_MAKE] = "scratch_make",
    [WIRE_SCRATCH_DROP] = "scratch_drop",
    [WIRE_FACTS] = "facts",
    [WIRE_DISCOVER] = "discover",
    [WIRE_SERVICES] = "services",
    [WIRE_CREATE] = "create",
    [WIRE_PUT] = "put",
    [WIRE_GET] = "get",
    [WIRE_STAT] = "stat",
    [WIRE_LIST] = "list",
    [WIRE_REMOVE] = "remove",
    [WIRE_SYNC] = "sync",
    [WIRE_SWEEP] = "sweep",
    [WIRE_SPACE] = "space",
    [WIRE_RETAIN] = "retain",
    [WIRE_REMOVE_MANY] = "remove many",
    [WIRE_NOTIFY] = "notify",
};

const char *wire_call_name(uint32_t call)
{
    return call < WIRE_CALLS && call_names[call] ? call_names[call] : "start";
}

void wire_put_text(struct bytes *b, const char *text, size_t length)
{
    if (length >= WIRE_NONE) {
        b->failed = true;
        return;
    }
    bytes_put_u32(b, (uint32_t)length);
    bytes_put(b, text, length);
    bytes_put_u8(b, 0);
}

void wire_put_string(struct bytes *b, const char *text)
{
    if (text)
        wire_put_text(b, text, strlen(text));
    else
        bytes_put_u32(b, WIRE_NONE);
}

const char *wire_text(struct cursor *c, size_t maximum, size_t *length)
{
    size_t n = cursor_u32(c);
    if (length)
        *length = 0;
    if (c->failed || n == WIRE_NONE)
        return NULL;
    const uint8_t *p = n <= maximum ? cursor_bytes(c, n + 1) : NULL;
    if (!p || p[n] != 0 || memchr(p, 0, n)) {
        c->failed = true;
        return NULL;
    }
    if (length)
        *length = n;
    return (const char *)p;
}

const char *wire_text_required(struct cursor *c, size_t maximum, size_t *length)
{
    const char *text = wire_text(c, maximum, length);
    if (!text)
        c->failed = true;
    return text;
}

void wire_put_error(struct bytes *b, const struct error *error)
{
    bytes_put_u32(b, (uint32_t)error->class);
    if (error->class == ERROR_NONE)
        return;
    bytes_put_u32(b, (uint32_t)error->os_errno);
    bytes_put_u32(b, error->retry_after);
    wire_put_string(b, error->message);
    wire_put_string(b, error->hint);
}

bool wire_error(struct cursor *c, struct error *error)
{
    memset(error, 0, sizeof *error);
    uint32_t class = cursor_u32(c);
    if (class == ERROR_NONE)
        return !c->failed;
    error->class = class <= ERROR_PLUGIN ? (enum error_class) class : ERROR_PERMANENT;
    error->os_errno = (int)cursor_u32(c);
    error->retry_after = cursor_u32(c);
    const char *message = wire_text_required(c, sizeof error->message - 1, NULL);
    const char *hint = wire_text_required(c, sizeof error->hint - 1, NULL);
    if (c->failed)
        return false;
    memcpy(error->message, message, strlen(message) + 1);
    memcpy(error->hint, hint, strlen(hint) + 1);
    return true;
}

/* ---- entries ---- */

void wire_put_entry(struct bytes *b, const struct snapshot_entry *entry)
{
    bytes_put_u32(b, entry->kind);
    bytes_put_u32(b, entry->flags);
    bytes_put_u64(b, (uint64_t)entry->size);
    bytes_put_u64(b, (uint64_t)entry->mtime);
    bytes_put_u32(b, entry->mode);
    bytes_put_u32(b, entry->uid);
    bytes_put_u32(b, entry->gid);
    bytes_put_u32(b, entry->device_major);
    bytes_put_u32(b, entry->device_minor);
    bytes_put_u32(b, entry->has_fingerprint ? 1 : 0);
    bytes_put(b, entry->fingerprint, sizeof entry->fingerprint);
    wire_put_text(b, entry->path, entry->path_length);
    wire_put_string(b, entry->user);
    wire_put_string(b, entry->group);
    if (entry->link)
        wire_put_text(b, entry->link, entry->link_length);
    else
        wire_put_string(b, NULL);
    bytes_put_u32(b, (uint32_t)entry->attribute_count);
    for (size_t i = 0; i < entry->attribute_count; i++) {
        wire_put_string(b, entry->attributes[i].name);
        bytes_put_blob(b, entry->attributes[i].value, entry->attributes[i].length);
    }
}

static void read_attributes(struct cursor *c, struct snapshot_entry *entry, struct snapshot_attribute **attributes)
{
    size_t count = cursor_u32(c);
    if (count == 0 || c->failed)
        return;
    /* Each takes at least 9 bytes: a count that cannot be true allocates nothing. */
    if (count > WIRE_MAX_ATTRIBUTES || count > c->left / 9) {
        c->failed = true;
        return;
    }
    struct snapshot_attribute *array = realloc(*attributes, count * sizeof *array);
    if (!array) {
        c->failed = true;
        return;
    }
    *attributes = array;
    for (size_t i = 0; i < count && !c->failed; i++) {
        array[i].name = wire_text_required(c, WIRE_MAX_NAME, NULL);
        array[i].value = cursor_blob(c, WIRE_MAX_VALUE, &array[i].length);
    }
    entry->attributes = array;
    entry->attribute_count = count;
}

bool wire_entry(struct cursor *c, struct snapshot_entry *entry, struct snapshot_attribute **attributes)
{
    memset(entry, 0, sizeof *entry);
    entry->kind = cursor_u32(c);
    entry->flags = cursor_u32(c);
    entry->size = (int64_t)cursor_u64(c);
    entry->mtime = (int64_t)cursor_u64(c);
    entry->mode = cursor_u32(c);
    entry->uid = cursor_u32(c);
    entry->gid = cursor_u32(c);
    entry->device_major = cursor_u32(c);
    entry->device_minor = cursor_u32(c);
    entry->has_fingerprint = cursor_u32(c) != 0;
    const uint8_t *fingerprint = cursor_bytes(c, sizeof entry->fingerprint);
    if (fingerprint)
        memcpy(entry->fingerprint, fingerprint, sizeof entry->fingerprint);
    entry->path = wire_text_required(c, PATH_LONGEST, &entry->path_length);
    entry->user = wire_text(c, WIRE_MAX_NAME, NULL);
    entry->group = wire_text(c, WIRE_MAX_NAME, NULL);
    entry->link = wire_text(c, PATH_LONGEST, &entry->link_length);
    read_attributes(c, entry, attributes);
    return cursor_done(c);
}
