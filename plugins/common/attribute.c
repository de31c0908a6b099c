#include "common/attribute.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/failure.h"

/* Attributes of one file altogether; file systems allow much less. */
#define VALUES_MAX ((size_t)16 << 20)

/* An open file, or when path is set, a path that leads to one. */
struct subject {
    int fd;
    const char *path;
};

void attribute_free(struct attribute_set *set)
{
    free(set->rows);
    free(set->names);
    free(set->values);
    *set = (struct attribute_set){0};
}

static ssize_t list(const struct subject *s, char *names, size_t size)
{
    return s->path ? llistxattr(s->path, names, size) : flistxattr(s->fd, names, size);
}

static ssize_t get(const struct subject *s, const char *name, void *value, size_t size)
{
    return s->path ? lgetxattr(s->path, name, value, size) : fgetxattr(s->fd, name, value, size);
}

static bool make_room(struct attribute_set *set)
{
    if (set->count == set->capacity) {
        uint32_t larger = set->capacity ? set->capacity * 2 : 16;
        void *rows = realloc(set->rows, larger * sizeof *set->rows);
        if (!rows)
            return false;
        set->rows = rows;
        set->capacity = larger;
    }
    if (set->used + XATTR_SIZE_MAX > set->room) {
        size_t larger = (set->used + XATTR_SIZE_MAX) * 2;
        void *values = larger <= VALUES_MAX ? realloc(set->values, larger) : NULL;
        if (!values)
            return false;
        set->values = values;
        set->room = larger;
    }
    return true;
}

static int32_t read_value(struct attribute_set *set, const struct subject *s, const char *name, struct cofre_error *why)
{
    char quoted[FAILURE_QUOTE_MAX];
    if (!make_room(set))
        return cofre_fail_errno(why, ENOMEM, "read its extended attributes");
    ssize_t length = get(s, name, set->values + set->used, XATTR_SIZE_MAX);
    if (length < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
        return COFRE_OK;
    if (length < 0)
        return cofre_fail_errno(why, errno, "read its attribute '%s'", failure_quote(name, strlen(name), quoted));
    set->rows[set->count++] = (struct cofre_attribute){.name = name, .length = (size_t)length};
    set->used += (size_t)length;
    return COFRE_OK;
}

/* Values may move while the room grows: rows get their pointers when all are there. The first failure is told. */
static int32_t read_values(struct attribute_set *set, const struct subject *s, size_t names_length,
                           struct cofre_error *why)
{
    struct cofre_error later = {.struct_size = sizeof later};
    int32_t result = COFRE_OK;
    for (const char *name = set->names; name < set->names + names_length; name += strlen(name) + 1) {
        int32_t one = read_value(set, s, name, result == COFRE_OK ? why : &later);
        result = result == COFRE_OK ? one : result;
    }
    return result;
}

static void set_pointers(struct attribute_set *set)
{
    size_t at = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        set->rows[i].value = set->values + at;
        at += set->rows[i].length;
    }
}

static int32_t read_all(struct attribute_set *set, const struct subject *s, dev_t device, struct cofre_error *why)
{
    set->count = 0;
    set->used = 0;
    if (set->knows_without && set->without == device)
        return COFRE_OK;
    if (!set->names && !(set->names = malloc(XATTR_LIST_MAX)))
        return cofre_fail_errno(why, ENOMEM, "read its extended attributes");
    ssize_t length = list(s, set->names, XATTR_LIST_MAX);
    if (length < 0 && errno == EOPNOTSUPP) {
        set->without = device;
        set->knows_without = true;
        return COFRE_OK;
    }
    if (length < 0 && errno == ENOENT && s->path)
        return COFRE_OK;
    if (length < 0)
        return cofre_fail_errno(why, errno, "read its extended attributes");
    int32_t result = read_values(set, s, (size_t)length, why);
    set_pointers(set);
    return result;
}

int32_t attribute_read(struct attribute_set *set, int fd, dev_t device, struct cofre_error *why)
{
    return read_all(set, &(struct subject){.fd = fd}, device, why);
}

int32_t attribute_read_at(struct attribute_set *set, int dir, const char *name, dev_t device, struct cofre_error *why)
{
    /* The calls by name take no directory; through /proc the kernel starts at the descriptor all the same. */
    char path[NAME_MAX + 40];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir, name);
    return read_all(set, &(struct subject){.fd = -1, .path = path}, device, why);
}
