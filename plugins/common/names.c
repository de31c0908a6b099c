#include "common/names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Direct-mapped: a slot holds the last thing that was looked up for it. */
#define SLOTS 256u

struct slot {
    char *name; /* NULL with used: nobody has this number */
    uint32_t id;
    bool used, known;
};

enum { BY_UID, BY_GID, BY_USER, BY_GROUP, TABLES };

struct names {
    struct slot tables[TABLES][SLOTS];
    char *buffer; /* for the records of the databases; a group's may be long */
    size_t size;
};

struct names *names_new(void)
{
    struct names *names = calloc(1, sizeof *names);
    if (!names)
        return NULL;
    names->size = 4096;
    names->buffer = malloc(names->size);
    if (!names->buffer) {
        free(names);
        return NULL;
    }
    return names;
}

void names_free(struct names *names)
{
    if (!names)
        return;
    for (size_t t = 0; t < TABLES; t++)
        for (size_t i = 0; i < SLOTS; i++)
            free(names->tables[t][i].name);
    free(names->buffer);
    free(names);
}

/* After ERANGE: more room for a record, up to 1 MiB. */
static bool grow(struct names *names)
{
    if (names->size >= 1u << 20)
        return false;
    char *larger = realloc(names->buffer, names->size * 4);
    if (!larger)
        return false;
    names->buffer = larger;
    names->size *= 4;
    return true;
}

/* Looks up by name when there is one, else by number. A failing database counts as "not known": numbers are kept
 * anyway. */
static bool find_user(struct names *names, const char *name, uint32_t *id, const char **found)
{
    struct passwd record, *result = NULL;
    int errnum;
    do {
        errnum = name ? getpwnam_r(name, &record, names->buffer, names->size, &result)
                      : getpwuid_r(*id, &record, names->buffer, names->size, &result);
    } while (errnum == EINTR || (errnum == ERANGE && grow(names)));
    if (!result)
        return false;
    *id = record.pw_uid;
    *found = record.pw_name;
    return true;
}

static bool find_group(struct names *names, const char *name, uint32_t *id, const char **found)
{
    struct group record, *result = NULL;
    int errnum;
    do {
        errnum = name ? getgrnam_r(name, &record, names->buffer, names->size, &result)
                      : getgrgid_r(*id, &record, names->buffer, names->size, &result);
    } while (errnum == EINTR || (errnum == ERANGE && grow(names)));
    if (!result)
        return false;
    *id = record.gr_gid;
    *found = record.gr_name;
    return true;
}

typedef bool find_function(struct names *, const char *, uint32_t *, const char **);

static const char *name_of(struct names *names, int table, uint32_t id, find_function *find)
{
    struct slot *slot = &names->tables[table][id % SLOTS];
    if (slot->used && slot->id == id)
        return slot->name;
    const char *found = NULL;
    uint32_t key = id;
    free(slot->name);
    slot->name = find(names, NULL, &key, &found) ? strdup(found) : NULL;
    slot->id = id;
    slot->used = true;
    return slot->name;
}

static uint32_t id_of(struct names *names, int table, const char *name, uint32_t otherwise, find_function *find)
{
    uint32_t hash = 2166136261u;
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    struct slot *slot = &names->tables[table][hash % SLOTS];
    if (!slot->name || strcmp(slot->name, name) != 0) {
        const char *found;
        free(slot->name);
        slot->name = strdup(name);
        slot->known = find(names, name, &slot->id, &found);
    }
    return slot->known ? slot->id : otherwise;
}

const char *names_user(struct names *names, uint32_t uid)
{
    return name_of(names, BY_UID, uid, find_user);
}

const char *names_group(struct names *names, uint32_t gid)
{
    return name_of(names, BY_GID, gid, find_group);
}

uint32_t names_uid(struct names *names, const char *user, uint32_t otherwise)
{
    return id_of(names, BY_USER, user, otherwise, find_user);
}

uint32_t names_gid(struct names *names, const char *group, uint32_t otherwise)
{
    return id_of(names, BY_GROUP, group, otherwise, find_group);
}
