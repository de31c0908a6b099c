#include "common/hardlink.h"

#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct hardlink_table *table, dev_t device, ino_t inode)
{
    uint64_t h = ((uint64_t)inode ^ ((uint64_t)device << 40)) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 20) & (table->slot_count - 1);
}

void hardlink_free(struct hardlink_table *table)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        while (table->slots[i]) {
            struct hardlink *link = table->slots[i];
            table->slots[i] = link->next;
            free(link);
        }
    }
    free(table->slots);
    *table = (struct hardlink_table){.maximum = table->maximum};
}

struct hardlink *hardlink_find(const struct hardlink_table *table, const struct stat *st)
{
    if (!table->count)
        return NULL;
    struct hardlink *link = table->slots[slot_of(table, st->st_dev, st->st_ino)];
    while (link && (link->inode != st->st_ino || link->device != st->st_dev))
        link = link->next;
    return link;
}

static bool grow(struct hardlink_table *table)
{
    struct hardlink_table larger = *table;
    larger.slot_count = table->slot_count ? table->slot_count * 2 : 1024;
    larger.slots = calloc(larger.slot_count, sizeof(struct hardlink *));
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        while (table->slots[i]) {
            struct hardlink *link = table->slots[i];
            table->slots[i] = link->next;
            struct hardlink **slot = &larger.slots[slot_of(&larger, link->device, link->inode)];
            link->next = *slot;
            *slot = link;
        }
    }
    free(table->slots);
    *table = larger;
    return true;
}

bool hardlink_add(struct hardlink_table *table, const struct stat *st, const char *path, size_t length)
{
    size_t bytes = sizeof(struct hardlink) + length + 1;
    if (table->bytes + bytes > table->maximum)
        return false;
    if (table->count >= table->slot_count && !grow(table))
        return false;
    struct hardlink *link = malloc(bytes);
    if (!link)
        return false;
    struct hardlink **slot = &table->slots[slot_of(table, st->st_dev, st->st_ino)];
    *link = (struct hardlink){.next = *slot,
                              .device = st->st_dev,
                              .inode = st->st_ino,
                              .names_left = (uint64_t)st->st_nlink - 1,
                              .length = length};
    memcpy(link->path, path, length);
    link->path[length] = '\0';
    *slot = link;
    table->count++;
    table->bytes += bytes;
    return true;
}

void hardlink_met(struct hardlink_table *table, struct hardlink *link)
{
    if (link->names_left > 1) {
        link->names_left--;
        return;
    }
    struct hardlink **at = &table->slots[slot_of(table, link->device, link->inode)];
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    table->count--;
    table->bytes -= sizeof(struct hardlink) + link->length + 1;
    free(link);
}
