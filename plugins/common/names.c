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
    int failed; /* errno of the database */
    bool used, known;
};

enum { BY_UID, BY_GID, BY_USER, BY_GROUP, TABLES };

struct names {
    struct slot tables[TABLES][SLOTS];
    int failed;   /* errno of the first look by name that failed */
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

/* What the calls return for names that nobody has, besides 0: getpwnam(3). */
static int failure(int errnum)
{
    bool unknown = errnum == ENOENT || errnum == ESRCH || errnum == EBADF || errnum == EPERM;
    return unknown ? 0 : errnum;
}

/* Looks up by name when there is one, else by number. *found is NULL when there is nobody. 0 or an errno. */
static int find_user(struct names *names, const char *name, uint32_t *id, const char **found)
{
    struct passwd record, *result = NULL;
    int errnum;
    do {
        errnum = name ? getpwnam_r(name, &record, names->buffer, names->size, &result)
                      : getpwuid_r(*id, &record, names->buffer, names->size, &result);
    } while (errnum == EINTR || (errnum == ERANGE && grow(names)));
    *found = result ? record.pw_name : NULL;
    if (result)
        *id = record.pw_uid;
    return result ? 0 : failure(errnum);
}

static int find_group(struct names *names, const char *name, uint32_t *id, const char **found)
{
    struct group record, *result = NULL;
    int errnum;
    do {
        errnum = name ? getgrnam_r(name, &record, names->buffer, names->size, &result)
                      : getgrgid_r(*id, &record, names->buffer, names->size, &result);
    } while (errnum == EINTR || (errnum == ERANGE && grow(names)));
    *found = result ? record.gr_name : NULL;
    if (result)
        *id = record.gr_gid;
    return result ? 0 : failure(errnum);
}

typedef int find_function(struct names *, const char *, uint32_t *, const char **);

static int name_of(struct names *names, int table, uint32_t id, const char **name, find_function *find)
{
    struct slot *slot = &names->tables[table][id % SLOTS];
    if (!slot->used || slot->id != id) {
        const char *found = NULL;
        uint32_t key = id;
        free(slot->name);
        slot->failed = find(names, NULL, &key, &found);
        slot->name = found ? strdup(found) : NULL;
        slot->failed = found && !slot->name ? ENOMEM : slot->failed;
        slot->id = id;
        slot->used = true;
    }
    *name = slot->name;
    return slot->failed;
}

static uint32_t id_of(struct names *names, int table, const char *name, uint32_t otherwise, find_function *find)
{
    uint32_t hash = 2166136261u;
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 16777619u;
    struct slot *slot = &names->tables[table][hash % SLOTS];
    if (!slot->name || strcmp(slot->name, name) != 0) {
        const char *found = NULL;
        free(slot->name);
        slot->name = strdup(name);
        int failed = find(names, name, &slot->id, &found);
        slot->known = failed == 0 && found;
        names->failed = names->failed ? names->failed : failed;
    }
    return slot->known ? slot->id : otherwise;
}

int names_user(struct names *names, uint32_t uid, const char **name)
{
    return name_of(names, BY_UID, uid, name, find_user);
}

int names_group(struct names *names, uint32_t gid, const char **name)
{
    return name_of(names, BY_GID, gid, name, find_group);
}

uint32_t names_uid(struct names *names, const char *user, uint32_t otherwise)
{
    return id_of(names, BY_USER, user, otherwise, find_user);
}

uint32_t names_gid(struct names *names, const char *group, uint32_t otherwise)
{
    return id_of(names, BY_GROUP, group, otherwise, find_group);
}

int names_failed(const struct names *names)
{
    return names->failed;
}
