#include "common/record.h"

#include <string.h>

#include "cofre/plugin.h"

static const struct cofre_attribute *attribute_of(const struct cofre_entry *entry, uint32_t i)
{
    return (const void *)((const char *)(const void *)entry->attributes + (size_t)i * entry->attribute_stride);
}

size_t record_size(const struct cofre_entry *entry)
{
    size_t size = sizeof(struct record) + entry->attribute_count * sizeof(struct cofre_attribute);
    for (uint32_t i = 0; i < entry->attribute_count; i++) {
        const struct cofre_attribute *a = attribute_of(entry, i);
        size += strlen(a->name) + 1 + a->length;
    }
    return record_aligned(size + entry->path_length + 1);
}

static char *copy(char **to, const void *from, size_t n)
{
    char *at = *to;
    if (n > 0)
        memcpy(at, from, n);
    *to += n;
    return at;
}

struct record *record_make(void *memory, const struct cofre_entry *entry, const struct finish_rules *rules,
                           struct folder *folder)
{
    struct record *record = memory;
    struct cofre_attribute *rows = (void *)(record + 1);
    char *text = (void *)(rows + entry->attribute_count);
    *record = (struct record){.bytes = record_size(entry),
                              .folder = folder,
                              .path_length = entry->path_length,
                              .hash = record_hash(entry->path, entry->path_length),
                              .kind = entry->kind,
                              .metadata = finish_of(rules, entry)};
    for (uint32_t i = 0; i < entry->attribute_count; i++) {
        const struct cofre_attribute *a = attribute_of(entry, i);
        rows[i].name = copy(&text, a->name, strlen(a->name) + 1);
        rows[i].value = copy(&text, a->value, a->length);
        rows[i].length = a->length;
    }
    record->metadata.attributes = rows;
    record->metadata.attribute_stride = sizeof *rows;
    record->path = copy(&text, entry->path, entry->path_length);
    *text = '\0';
    const char *slash = memrchr(record->path, '/', record->path_length);
    record->name = slash ? slash + 1 : record->path;
    return record;
}

uint64_t record_hash(const char *path, size_t length)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)path[i]) * 1099511628211u;
    return hash;
}
